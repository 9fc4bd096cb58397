// Package tlstest is part of the *laboratory*: an authority that vouches for the certificates of a test. It knows nothing of files and
// their names; whoever needs some writes what [CertificatePEM] and [KeyPEM] return.
//
// Its functions panic where crypto would return an error, which only a fault of this package can cause: keys, kinds and
// sources of randomness are fixed here.
package tlstest
