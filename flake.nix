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

      # The backend's module with this flake's package in it. importApply keeps the file's name for
      # errors; by the key it counts once where it is imported twice.
      backend = {
        key = "${./nixos-module/default.nix}";
        imports = [ (lib.modules.importApply ./nixos-module { inherit self; }) ];
      };

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
      packages = eachSystem (
        pkgs:
        let
          inherit (pkgs.stdenv.hostPlatform) system;
          machine = appliance system;
          vispyr = pkgs.callPackage ./nix/package.nix { };
        in
        {
          inherit vispyr;
          default = vispyr;
          # The example machine for a look, in QEMU.
          vm = (machine.extendModules { modules = [ ./nix/vm.nix ]; }).config.system.build.vm;
          stack = import ./nix/stack.nix { inherit self pkgs; };
          options = import ./nix/options.nix { inherit self pkgs; };
        }
        # Images of the example machine, by nixpkgs' own builders.
        // lib.optionalAttrs (builtins.pathExists "${nixpkgs}/nixos/modules/image/images.nix") (
          lib.mapAttrs' (name: lib.nameValuePair "image-${name}") (
            lib.genAttrs [ "iso" "oci" "qemu" ] (name: machine.config.system.build.images.${name})
          )
        )
      );

      overlays.default = final: _: { vispyr = final.callPackage ./nix/package.nix { }; };

      nixosModules = {
        # The backend.
        default = backend;
        # For machines whose applications are watched: services.vispyr.agent.
        agent.imports = [
          backend
          ./nixos-module/agent.nix
        ];
      };

      nixosConfigurations.appliance = appliance "x86_64-linux";

      apps = eachSystem (
        pkgs:
        let
          packages = self.packages.${pkgs.stdenv.hostPlatform.system};
          vispyr = lib.getExe packages.vispyr;
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
          vm = app "The whole appliance in a QEMU window, its ports on this machine's" "${packages.vm}/bin/run-vispyr-vm";
          stack = app "The whole stack without NixOS and root, below one folder" (lib.getExe packages.stack);
        }
      );

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs; });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
