package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

type login struct {
	Username string
	Password Text
}

const password = "correct horse"

func TestSecretIsHiddenHoweverItIsPrinted(t *testing.T) {
	l := login{Username: "postgres", Password: password}
	encoded, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	document, err := yaml.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var text, structured bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", slog.Any("login", l), slog.Any("password", l.Password))
	slog.New(slog.NewJSONHandler(&structured, nil)).Info("x", slog.Any("login", l), slog.Any("password", l.Password))
	printed := []string{
		fmt.Sprint(l), fmt.Sprintf("%v %+v %#v", l, l, l), fmt.Sprintf("%s %q %x %d", l.Password, l.Password, l.Password, l.Password),
		fmt.Sprint(&l), fmt.Errorf("login %v", l.Password).Error(), l.Password.String(),
		string(encoded), string(document), text.String(), structured.String(),
	}
	for _, p := range printed {
		if strings.Contains(p, password) || strings.Contains(p, fmt.Sprintf("%x", password)) {
			t.Errorf("the secret is readable in %s", p)
		}
		if !strings.Contains(p, hidden) {
			t.Errorf("%s does not say that a secret is set", p)
		}
	}
}

func TestSecretIsReadFromPlainText(t *testing.T) {
	var fromYAML, fromJSON login
	if err := yaml.Unmarshal([]byte("username: a\npassword: "+password+"\n"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"Username":"a","Password":"`+password+`"}`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	for _, l := range []login{fromYAML, fromJSON} {
		if l.Password.Reveal() != password {
			t.Errorf("read %q", l.Password.Reveal())
		}
	}
}

func TestNoSecretIsShownAsNone(t *testing.T) {
	if got := fmt.Sprintf("%v|%s", Text(""), Text("")); got != "|" {
		t.Errorf("got %q", got)
	}
}
