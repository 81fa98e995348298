{
  description = "Vispyr Backend: traces, metrics, logs and profiles of your applications, kept safe and answered in SQL";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});

      # The module with this flake's package in it. importApply keeps the file's name for errors.
      module = file: lib.modules.importApply file { inherit self; };

      # The example machine, on each system.
      appliance =
        system:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            ./nix/appliance.nix
            { nixpkgs.hostPlatform = system; }
          ];
        };
    in
    {
      packages = eachSystem (pkgs: rec {
        vispyr = pkgs.callPackage ./nix/package.nix { };
        default = vispyr;
      });

      overlays.default = final: _: { vispyr = final.callPackage ./nix/package.nix { }; };

      nixosModules.default = module ./nixos-module;

      nixosConfigurations.appliance = appliance "x86_64-linux";

      apps = eachSystem (
        pkgs:
        let
          vispyr = lib.getExe self.packages.${pkgs.stdenv.hostPlatform.system}.vispyr;
          app = description: program: {
            type = "app";
            inherit program;
            meta = { inherit description; };
          };
          command =
            name: arguments:
            lib.getExe (pkgs.writeShellScriptBin "vispyr-${name}" ''exec ${vispyr} ${arguments} "$@"'');
        in
        {
          default = app "Everything in one process: vispyr serve" (command "serve" "serve");
          demo = app "The same, with a make-believe shop that sends its telemetry" (
            command "demo" "serve --demo"
          );
        }
      );

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
