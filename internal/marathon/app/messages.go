package app

// Texts that clients compare or show are Marathon's, word for word: its user interface maps some of them to fields.
// Codes with "error." are those of its JSON reader.
const (
	msgMissing        = "error.path.missing"
	msgWantString     = "error.expected.jsstring"
	msgWantNumber     = "error.expected.jsnumber"
	msgWantInt        = "error.expected.int"
	msgWantBool       = "error.expected.jsboolean"
	msgWantList       = "error.expected.jsarray"
	msgWantObject     = "error.expected.jsobject"
	msgWantDate       = "error.expected.date.isoformat"
	msgVersionAlone   = "The 'version' field may only be combined with the 'id' field."
	msgEmpty          = "must not be empty"
	msgUndefined      = "not defined"
	msgIDPattern      = `must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'`
	msgIDReserved     = "must not end with any of the following reserved keywords: restart, tasks, versions"
	msgIDRoot         = "Path must contain at least one path element"
	msgCommand        = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
	msgPortNames      = "Port names must be unique."
	msgPortsUnique    = "Ports must be unique."
	msgPortName       = `must fully match regular expression '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'`
	msgPortIndex      = "Health check port indices must address an element of the ports array or container port mappings."
	msgOneMesosCheck  = "AppDefinition can contain at most one Mesos health check"
	msgReadinessPort  = "No port definition reference for portName "
	msgGPUContainer   = "GPU resources only work with the Mesos containerizer"
	msgSecretEnv      = "use of secret-references in the environment requires the secrets feature to be enabled"
	msgEnvName        = "must not be empty and must not contain '=' or a NUL"
	msgEnvValue       = "must not contain a NUL"
	msgSingleInstance = "Single instance app may only have one instance"
	msgUnreachable    = "unreachableStrategy must be disabled for resident tasks"
	msgInactive       = "must be less than or equal to expungeAfterSeconds"

	msgHostNetworkName   = "Host networks may not have names or labels"
	msgBridgeNetworkName = "Bridge networks may not have names"
	msgNetworkTwice      = "Duplicate networks are not allowed"
	msgNetworkMix        = "May specify a single host network, single bridge network, or else 1-to-n container networks"
	msgNetworkName       = "Network name must be specified when container network is selected."
	msgOneDockerNetwork  = "may only specify a single container network when using the Docker container engine"
	msgBothNetworks      = "must not specify both container.docker.network and networks"
	msgBothIPAddress     = "must not specify both networks and ipAddress"
	msgIPAddressPorts    = "cannot specify both an IP address and port"
	msgIPAddressDocker   = "ipAddress/discovery is not allowed for Docker containers"
	msgDiscoveryPorts    = "container.portMappings and ipAddress.discovery.ports must not both be set"
	msgBothMappings      = "cannot specify both portMappings and docker.portMappings"
	msgBothPorts         = "cannot specify both ports and port definitions"
	msgLegacyPorts       = "ports must be unique"
	msgBothURIs          = "may not be set in conjunction with fetch"
	msgDockerNetwork     = "unsupported docker network type "

	msgConstraintLength   = "Each constraint must have either 2 or 3 fields"
	msgConstraintField    = "Missing field and operator"
	msgConstraintOperator = "Constraint operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"
	msgConstraintUnused   = "Value specified but not used"
	msgConstraintNumber   = "Value was specified but is not a number"
	msgConstraintNeedsN   = "Value was not specified or is not a number"
	msgConstraintRegexp   = "A regular expression value must be provided"
	msgConstraintValue    = "Missing value"

	msgVolumeKind        = "must be exactly one of a host, persistent, external or secret volume"
	msgVolumeSlash       = `value must not contain "/"`
	msgVolumeDots        = "can not be one of (.,..)"
	msgVolumeMode        = "must be RW"
	msgVolumeMaxSize     = "Only mount volumes can have maxSize"
	msgVolumeOrder       = "Max size must be larger than size"
	msgVolumeConstraints = "Constraints on root volumes are not supported"

	msgServicePorts = "no service port is left between 10000 and 20000"
	msgCycle        = "Dependency graph has cyclic dependencies."
	msgClash        = "Groups and Applications may not have the same identifier."
)

// feature is Marathon's answer to a definition that needs something the server was not given.
func feature(name string) string {
	return "Feature " + name + " is not enabled. Enable with --enable_features " + name + ")"
}
