# The sandbox of every upstream unit. Our own units have the same in config/systemd.
#
# A unit that needs more says so beside its other settings, with the reason.
{ lib }:
let
  sandbox = {
    # Files: nothing but the state, runtime and temporary folders can be written.
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    DevicePolicy = "closed";
    UMask = "0077";
    # Rights.
    NoNewPrivileges = true;
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    KeyringMode = "private";
    RemoveIPC = true;
    # Other processes and the kernel.
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectProc = "invisible";
    ProtectHostname = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    # Network: AF_UNIX is for the journal and sd_notify(3).
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
    SystemCallArchitectures = "native";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    SystemCallErrorNumber = "EPERM";
  };
  # Over what the upstream modules say, which differs from module to module.
  force = lib.mapAttrs (_: lib.mkForce);
in
{
  # The set with exceptions.
  sandboxed = exceptions: force (sandbox // exceptions);

  # For those that talk to this machine alone: nothing else can be reached, whatever they are made to do.
  loopbackOnly = {
    IPAddressAllow = "localhost";
    IPAddressDeny = "any";
  };

  # A server of somebody else's that ends is started again, with growing pauses and for ever.
  restarted = force {
    Restart = "always";
    RestartSec = "500ms";
    RestartSteps = 6;
    RestartMaxDelaySec = "30s";
  };
}
