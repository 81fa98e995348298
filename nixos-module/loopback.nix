# Whether an address is one that only this machine reaches.
{ lib }:
address:
lib.hasPrefix "127." address
|| lib.elem address [
  "::1"
  "localhost"
]
