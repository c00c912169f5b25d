#!/bin/sh
# Makes the certificates of this folder with OpenSSL 3: those that rcgen cannot make.
# Valid from 2020 to 2120, and for `localhost` and 127.0.0.1 where they are of version 3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > openssl.cnf <<'END'
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
default_startdate = 20200101000000Z
default_enddate = 21200101000000Z
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
# What `openssl req -x509` adds by default, and a subjectAltName.
[like_req]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical,CA:TRUE
subjectAltName = DNS:localhost,IP:127.0.0.1
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1
END
: > index
echo 01 > serial

# key NAME ALGORITHM OPTIONS...
key() {
    name=$1; shift
    openssl genpkey -out "$name.key" -algorithm "$@" 2> genpkey.log
    openssl req -config openssl.cnf -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
}
# sign NAME OPTIONS...
sign() {
    name=$1; shift
    openssl ca -config openssl.cnf -batch -notext -in "$name.csr" -out "$name.crt" "$@" 2> ca.log || { cat ca.log; exit 1; }
}
alone() { name=$1; shift; sign "$name" -selfsign -keyfile "$name.key" "$@"; }
issued() { name=$1 by=$2; shift 2; sign "$name" -cert "$by.crt" -keyfile "$by.key" "$@"; }

p256="EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve"
p521="EC -pkeyopt ec_paramgen_curve:P-521 -pkeyopt ec_param_enc:named_curve"
key rsa_2048 RSA -pkeyopt rsa_keygen_bits:2048
alone rsa_2048 -extensions like_req
key rsa_1024 RSA -pkeyopt rsa_keygen_bits:1024
alone rsa_1024 -extensions like_req
key p521 $p521
alone p521 -extensions like_req -md sha512
key version_1 $p256
alone version_1
key signed_by_p521 $p256
issued signed_by_p521 p521 -extensions leaf -md sha512
key signed_with_sha1 $p256
issued signed_with_sha1 rsa_2048 -extensions leaf -md sha1

for name in rsa_2048 rsa_1024 p521 version_1 signed_by_p521 signed_with_sha1; do
    cat "$name.crt" "$name.key" > "$here/$name.pem"
done
