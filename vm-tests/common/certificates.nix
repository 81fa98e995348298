# Certificates of the test's own authority, made before anything that wants them: under /etc/pki
# authority.pem, server.pem and .key, client.pem and .key, stranger.pem and .key (of another
# authority). `names`: whom the server's is for.
names:
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.openssl
    (pkgs.writeShellScriptBin "make-certificates" ''
      # make-certificates DIR SERIAL
      set -eu
      PATH=${pkgs.openssl}/bin:$PATH
      mkdir -p "$1"
      cd "$1"
      authority() {
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout "$1.key" -out "$1.pem"
      }
      # signed NAME AUTHORITY SERIAL EXTENSION
      signed() {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
        printf '%s\n' "$4" > "$1.ext"
        openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "$3" -days 2 -extfile "$1.ext" -out "$1.pem"
        rm "$1.csr" "$1.ext"
      }
      [ -e authority.pem ] || authority authority
      [ -e other.pem ] || authority other
      signed server authority "$2" "subjectAltName=${names}"
      signed client authority "1$2" extendedKeyUsage=clientAuth
      signed stranger other "2$2" extendedKeyUsage=clientAuth
      chmod 600 *.key
    '')
  ];
  systemd.services.certificates = {
    wantedBy = [ "multi-user.target" ];
    before = [
      "vispyr-collector.service"
      "vispyr-store.service"
    ];
    requiredBy = [
      "vispyr-collector.service"
      "vispyr-store.service"
    ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      UMask = "0077";
    };
    script = ''
      [ -e /etc/pki/server.pem ] || /run/current-system/sw/bin/make-certificates /etc/pki 1
      printf 'good-token\n' > /etc/pki/tokens
    '';
  };
}
