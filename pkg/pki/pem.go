package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// maxCertificates bounds those of one file: the largest public bundles have
// about 150.
const maxCertificates = 2000

// Certificates reads all certificates of a file of PEM text. Other kinds of
// blocks are passed over, but a file without any certificate is a mistake.
func Certificates(f File) ([]*x509.Certificate, []Mistake) {
	var (
		certs  []*x509.Certificate
		wrong  mistakes
		others []string
	)
	if len(f.Data) > MaxFile {
		wrong.wrong(f.Name, "is larger than 8 MiB", "a file of certificates in PEM text is expected")
		return nil, wrong
	}
	for rest := f.Data; len(certs) < maxCertificates; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			others = append(others, block.Type)
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			wrong.wrong(f.Name, fmt.Sprintf("certificate %d cannot be read: %s", len(certs)+1, clean(err.Error())),
				"openssl x509 -noout -text -in "+f.Name)
			return nil, wrong
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		wrong.wrong(f.Name, "has no certificate in PEM text", noCertificateHint(f, others))
	}
	return certs, wrong
}

func noCertificateHint(f File, others []string) string {
	switch {
	case len(f.Data) == 0:
		return "the file is empty"
	case isDER(f.Data):
		return "it seems to be DER or PKCS #12: openssl x509 -inform der -in " + f.Name + ", or openssl pkcs12 -nokeys -in " + f.Name + ", write PEM text"
	case len(others) > 0 && strings.Contains(others[0], "PRIVATE KEY"):
		return "it has a private key: are certificate and key exchanged?"
	case len(others) > 0:
		return fmt.Sprintf("it has %q", others[0])
	}
	return "a block that begins with -----BEGIN CERTIFICATE----- is expected"
}

// privateKey reads the one key of a file.
func privateKey(f File) (crypto.Signer, mistakes) {
	var wrong mistakes
	for rest := f.Data; len(f.Data) <= MaxFile; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			wrong.wrong(f.Name, "the key is encrypted", "openssl pkey -in "+f.Name+" -out KEY takes the pass phrase away; keep KEY readable for the hub alone")
			return nil, wrong
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			wrong.wrong(f.Name, "the key cannot be read: "+clean(err.Error()), "RSA, ECDSA and Ed25519 keys are known")
			return nil, wrong
		}
		return key, nil
	}
	hint := "a block that begins with -----BEGIN PRIVATE KEY----- is expected"
	if isDER(f.Data) {
		hint = "it seems to be DER or PKCS #12: openssl pkey -inform der -in " + f.Name + ", or openssl pkcs12 -nocerts -noenc -in " + f.Name + ", write PEM text"
	}
	wrong.wrong(f.Name, "has no private key in PEM text", hint)
	return nil, wrong
}

func parseKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("a key of kind %T cannot sign in TLS", key)
}

// isDER reports whether data begins as an ASN.1 sequence of more than 127 octets.
func isDER(data []byte) bool {
	return len(data) > 4 && data[0] == 0x30 && data[1] >= 0x81 && data[1] <= 0x84
}

// clean keeps what a file said from being more than one line of a log.
func clean(text string) string {
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, text)
}
