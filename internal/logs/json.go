package logs

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// setFields prepares lines of JSON.
func (l *layout) setFields(o Options) error {
	l.fields = o.Fields
	if len(l.fields) == 0 {
		l.fields = []Field{{"asctime", "asctime"}, {"levelname", "levelname"}, {"message", "message"}}
	}
	for _, f := range l.fields {
		if _, known := kinds()[f.Name]; !known {
			return fmt.Errorf("log.format has no field %s: there are %s", f.Name, strings.Join(slices.Sorted(maps.Keys(kinds())), ", "))
		}
		l.taken[f.As] = true
	}
	for _, name := range slices.Sorted(maps.Keys(o.Static)) {
		value := o.Static[name]
		l.static = append(l.static, staticField{name, rendered(value, fmt.Sprint(value))})
		l.taken[name] = true
	}
	return nil
}

// document is a line of JSON: the wanted fields, the attributes, the fields that are always the same. An attribute
// whose name is taken has an underscore behind it.
func (l *layout) document(e entry) []byte {
	buf := []byte{'{'}
	member := func(name string, value []byte) {
		if buf[len(buf)-1] != '{' {
			buf = append(buf, ", "...)
		}
		buf = append(buf, rendered(name, "")...)
		buf = append(buf, ": "...)
		buf = append(buf, value...)
	}
	for _, f := range l.fields {
		value := l.value(f.Name, e)
		if f.Name == "message" {
			value = e.message
		}
		member(f.As, rendered(value, ""))
	}
	for i, a := range e.attrs {
		name := a.Key
		if slices.ContainsFunc(e.attrs[i+1:], func(later slog.Attr) bool { return later.Key == name }) {
			continue // said again, and better known
		}
		if l.taken[name] {
			name += "_"
		}
		member(name, l.data(a.Value))
	}
	for _, s := range l.static {
		member(s.name, s.value)
	}
	return append(buf, "}\n"...)
}
