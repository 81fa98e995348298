# A complete machine: what the README's ten lines give, on a disk of its own.
{ lib, ... }:
{
  system.stateVersion = "26.05";
  networking.hostName = "vispyr";

  boot.loader.grub.device = lib.mkDefault "/dev/vda";
  fileSystems."/" = lib.mkDefault {
    device = "/dev/vda1";
    fsType = "ext4";
  };

  services.vispyr.enable = true;
}
