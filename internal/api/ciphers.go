package api

import (
	"crypto/tls"
	"slices"
	"strings"
)

// suite is a cipher suite of TLS 1.2 and before, by the name that OpenSSL has for it. A weak one is used only where its full
// name is given.
type suite struct {
	name string
	id   uint16
	weak bool
}

func knownSuites() []suite {
	return []suite{
		{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, false},
		{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, false},
		{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false},
		{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, false},
		{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false},
		{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, false},
		{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
		{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, false},
		{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, false},
		{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, true},
		{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, true},
		{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, true},
		{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, true},
		{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, true},
		{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, true},
		{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, true},
	}
}

// CipherSuites makes suites of a list as OpenSSL has it: "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL". It knows full names, words for
// kinds of suites, words that all have to fit with a plus between, and with an exclamation mark or a minus what is taken
// out. Nil stands for Go's own choice. unknown are words that stand for nothing here; they are left out.
func CipherSuites(list string) (ids []uint16, unknown []string) {
	var chosen []suite
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(":, ;", r) }) {
		switch {
		case strings.HasPrefix(word, "@"), strings.HasPrefix(word, "TLS_"), strings.HasPrefix(word, "+"):
			// The order is Go's, and the suites of TLS 1.3 are always there.
		case word[0] == '!', word[0] == '-':
			chosen = slices.DeleteFunc(chosen, func(s suite) bool { return s.fits(word[1:]) })
		default:
			found := suitesOf(word)
			if len(found) == 0 {
				unknown = append(unknown, word)
			}
			chosen = append(chosen, found...)
		}
	}
	for _, s := range chosen {
		if !slices.Contains(ids, s.id) {
			ids = append(ids, s.id)
		}
	}
	return ids, unknown
}

// suitesOf are the suites that a word stands for.
func suitesOf(word string) []suite {
	var all []suite
	for _, s := range knownSuites() {
		if s.name == word || !s.weak && s.fits(word) {
			all = append(all, s)
		}
	}
	return all
}

// fits reports whether a suite is its word, or of all the kinds that are named with a plus between.
func (s suite) fits(word string) bool {
	kinds := s.kinds()
	for kind := range strings.SplitSeq(word, "+") {
		if kind != s.name && !slices.Contains(kinds, kind) {
			return false
		}
	}
	return true
}

// kinds are the words that OpenSSL has for suites of this kind.
func (s suite) kinds() []string {
	parts := strings.Split(s.name, "-")
	kinds := append(slices.Clone(parts), "ALL", "DEFAULT")
	has := func(part string) bool { return slices.Contains(parts, part) }
	add := func(yes bool, words ...string) {
		if yes {
			kinds = append(kinds, words...)
		}
	}
	gcm := has("GCM")
	add(!s.weak, "HIGH")
	add(has("ECDHE"), "EECDH", "kECDHE", "kEECDH", "ECDH")
	add(!has("ECDHE"), "kRSA", "RSA", "aRSA")
	add(has("ECDSA"), "aECDSA")
	add(has("RSA"), "aRSA")
	add(has("AES128") || has("AES256"), "AES")
	add(gcm, "AESGCM")
	add(!gcm && !has("POLY1305"), "CBC")
	add(gcm || has("POLY1305") || has("SHA256"), "TLSv1.2")
	add(has("SHA"), "SHA1", "TLSv1", "TLSv1.0", "SSLv3")
	return kinds
}
