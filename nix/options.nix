# The module's options as JSON, for docs/nixos.md.
{ self, pkgs }:
let
  inherit (pkgs) lib;
  inherit
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.agent
        { nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system; }
      ];
    })
    options
    ;
  shown =
    option:
    lib.filterAttrs (_: value: value != null) {
      inherit (option) name type;
      description = option.description.text or option.description;
      default = option.default or null;
      example = option.example or null;
    };
in
pkgs.writeText "options.json" (
  builtins.toJSON (
    map shown (
      lib.filter (option: option.visible && !option.internal) (
        lib.optionAttrSetToDocList options.services.vispyr
      )
    )
  )
)
