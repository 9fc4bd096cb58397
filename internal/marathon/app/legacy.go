package app

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// translateLegacy rewrites the words of Marathon before 1.5 as canonical ones, in the JSON tree itself.
// What has the wrong type it leaves alone: the readers that follow say so.
func translateLegacy(o object) {
	container, docker := o.child("container"), o.child("container").child("docker")
	legacyNetwork := docker.has("network")
	if legacyNetwork && len(o.items("networks")) > 0 {
		o.wrongValue(rootPath(o.path), msgBothNetworks)
	}
	if o.has("ipAddress") {
		translateIPAddress(o)
	} else if legacyNetwork {
		o.fields["networks"] = dockerNetworks(docker, nil)
	}
	delete(docker.fields, "network")
	translateDockerMappings(container, docker)
	translatePorts(o)
	translateURIs(o)
}

// child is the member name as an object, an empty one when it is none.
func (o object) child(name string) object {
	m, _ := o.fields[name].(map[string]any)
	return object{faults: o.faults, path: o.at(name), fields: m}
}

// items is the member name as a list, nil when it is none.
func (o object) items(name string) []any {
	l, _ := o.fields[name].([]any)
	return l
}

// dockerNetworks is the canonical form of container.docker.network.
func dockerNetworks(docker object, base map[string]any) []any {
	name, ok := docker.fields["network"].(string)
	if !ok {
		docker.wrongType(docker.at("network"), msgWantString)
		return nil
	}
	switch strings.ToUpper(name) {
	case "HOST":
		return []any{map[string]any{"mode": string(NetworkHost)}}
	case "BRIDGE":
		return []any{withMode(base, NetworkBridge, "labels")}
	case "USER":
		return []any{withMode(base, NetworkContainer, "labels", "name")}
	}
	docker.wrongValue(docker.at("network"), msgDockerNetwork+name)
	return nil
}

// withMode is a network of that mode with those members of base.
func withMode(base map[string]any, mode NetworkMode, members ...string) map[string]any {
	network := map[string]any{"mode": string(mode)}
	for _, m := range members {
		if base[m] != nil {
			network[m] = base[m]
		}
	}
	return network
}

// translateIPAddress turns the first form of container networks into networks and port mappings.
func translateIPAddress(o object) {
	ip, ok := o.object(o.at("ipAddress"), o.fields["ipAddress"])
	if !ok {
		return
	}
	delete(o.fields, "ipAddress")
	if len(o.items("networks")) > 0 {
		o.wrongValue(rootPath(o.path), msgBothIPAddress)
	}
	if len(o.items("ports")) > 0 || len(o.items("portDefinitions")) > 0 {
		o.wrongValue(rootPath(o.path), msgIPAddressPorts)
	}
	base := map[string]any{"name": ip.fields["networkName"], "labels": ip.fields["labels"]}
	if docker := o.child("container").child("docker"); docker.has("network") {
		o.fields["networks"] = dockerNetworks(docker, base)
	} else {
		o.fields["networks"] = []any{withMode(base, NetworkContainer, "labels", "name")}
	}
	if !o.has("container") {
		o.fields["container"] = map[string]any{"type": string(ContainerMesos)}
	}
	translateDiscovery(o.child("container"), ip)
}

// translateDiscovery turns the ports announced for an address into port mappings that are not published.
func translateDiscovery(container, ip object) {
	if !ip.has("discovery") {
		return
	}
	if container.has("docker") && !strings.EqualFold(fmt.Sprint(container.fields["type"]), string(ContainerMesos)) {
		ip.wrongValue(ip.path, msgIPAddressDocker)
		return
	}
	ports := ip.child("discovery").items("ports")
	if len(ports) == 0 || container.fields == nil {
		return
	}
	if container.has("portMappings") {
		container.wrongValue(container.path, msgDiscoveryPorts)
		return
	}
	mappings := make([]any, 0, len(ports))
	for _, p := range ports {
		mappings = append(mappings, discoveredPort(p))
	}
	container.fields["portMappings"] = mappings
}

func discoveredPort(v any) any {
	p, ok := v.(map[string]any)
	if !ok {
		return v
	}
	return map[string]any{"containerPort": p["number"], "name": p["name"], "protocol": p["protocol"], "labels": p["labels"]}
}

func translateDockerMappings(container, docker object) {
	old := docker.fields["portMappings"]
	delete(docker.fields, "portMappings")
	if old == nil {
		return
	}
	list, isList := old.([]any)
	switch {
	case !container.has("portMappings"):
		container.fields["portMappings"] = old
	case len(container.items("portMappings")) > 0 && (!isList || len(list) > 0):
		container.wrongValue(container.path, msgBothMappings)
	}
}

func translatePorts(o object) {
	ports, ok := o.fields["ports"].([]any)
	if !ok {
		if o.has("ports") {
			o.wrongType(o.at("ports"), msgWantList)
		}
		return
	}
	delete(o.fields, "ports")
	definitions := make([]any, 0, len(ports))
	seen := map[int]bool{}
	for i, p := range ports {
		n := asInt(o.faults, fmt.Sprintf("%s(%d)", o.at("ports"), i), p)
		if n != 0 && seen[n] {
			o.wrongValue(rootPath(o.path), msgLegacyPorts)
		}
		seen[n] = true
		definitions = append(definitions, map[string]any{"port": json.Number(strconv.Itoa(n))})
	}
	if !o.has("portDefinitions") {
		o.fields["portDefinitions"] = definitions
		return
	}
	if !samePorts(definitions, o.items("portDefinitions")) {
		o.wrongValue(rootPath(o.path), msgBothPorts)
	}
}

// samePorts reports whether two lists of port definitions name the same numbers, as answers of old servers that are
// sent back do.
func samePorts(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, _ := a[i].(map[string]any)
		y, _ := b[i].(map[string]any)
		if fmt.Sprint(x["port"]) != fmt.Sprint(y["port"]) {
			return false
		}
	}
	return true
}

func translateURIs(o object) {
	uris, ok := o.fields["uris"].([]any)
	if !ok {
		if o.has("uris") {
			o.wrongType(o.at("uris"), msgWantList)
		}
		return
	}
	delete(o.fields, "uris")
	if len(uris) == 0 {
		return
	}
	if len(o.items("fetch")) > 0 {
		o.wrongValue(o.at("uris"), msgBothURIs)
		return
	}
	fetch := make([]any, 0, len(uris))
	for _, uri := range uris {
		fetch = append(fetch, map[string]any{"uri": uri})
	}
	o.fields["fetch"] = fetch
}
