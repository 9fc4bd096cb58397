package config

import "maps"

// kind is what the value of an option must be.
type kind int

const (
	section  kind = iota // options of its own
	text                 // any single value
	handed               // any single value, which is handed on to a program
	password             // a text that is never quoted in a message
	flag                 // yes or no, in all of YAML's spellings
	number               // a whole number between option.least and option.most
	choice               // one of option.words
	command              // a program with arguments, quoted as for a shell
	texts                // a list of texts
	hosts                // a list of texts, or one text with commas
	options              // a list of options and of option: value, or a section of them
	values               // a section of name: value
	span                 // a time: seconds, or with a unit that PostgreSQL knows
	slots                // a section of replication slots by name
	patterns             // a list of what slots have in common
	layout               // a format of lines, or a list of fields
	mode                 // permissions of a file, octal where they begin with 0
	anything             // not looked at here
)

// option is one option that is acted on, or a section of them.
type option struct {
	kind kind
	// in are the options of a section by name; others stands for all that are not named.
	in          map[string]option
	least, most int
	words       []string
	// lenient: a number outside its bounds is only worth a warning, since the nearest allowed one is used.
	lenient bool
}

// others is the name of what a section says of all options that it does not name.
const others = "*"

func is(k kind) option              { return option{kind: k} }
func within(least, most int) option { return option{kind: number, least: least, most: most} }
func atLeast(least int) option      { return within(least, 1<<31-1) }
func clamped(least int) option {
	return option{kind: number, least: least, most: 1<<31 - 1, lenient: true}
}
func oneOf(words ...string) option   { return option{kind: choice, words: words} }
func of(in map[string]option) option { return option{in: in} }

// schema are the options that are acted on (Patroni documentation, "YAML Configuration Settings"), and those that have no
// meaning here but do no harm. Everything else that a file has is worth a warning, since somebody meant it to do
// something. ways are the names of the methods that have sections of their own.
func schema(ways waysIn) option {
	etcd := of(etcdSchema())
	all := map[string]option{
		"scope": is(text), "namespace": is(text), "name": is(text), "guard": is(flag),
		"thread_pool_size": is(anything), "thread_stack_size": is(anything), // there are no such threads
		"restapi":    of(restSchema()),
		"ctl":        of(ctlSchema()),
		"log":        of(logSchema()),
		"etcd":       etcd,
		"etcd3":      etcd,
		"postgresql": of(postgresSchema(ways.clone)),
		"bootstrap":  of(bootstrapSchema(ways)),
		"watchdog": of(map[string]option{
			"mode": oneOf(watchdogWords()...), "device": is(text), "driver": is(text), "safety_margin": atLeast(-1),
		}),
		"tags": of(tagSchema()),
	}
	for _, store := range otherStores() {
		all[store] = is(anything) // where there is no etcd, config says so
	}
	return of(all)
}

func basicLogin() option {
	return of(map[string]option{"username": is(text), "password": is(password)})
}

func restSchema() map[string]option {
	return map[string]option{
		"listen": is(text), "connect_address": is(text), "authentication": basicLogin(),
		"certfile": is(text), "keyfile": is(text), "keyfile_password": is(password), "cafile": is(text), "ciphers": is(text),
		"verify_client": oneOf(verifyWords()...), "server_tokens": oneOf(tokenWords()...),
		"allowlist": is(hosts), "allowlist_include_members": is(flag), "allow_from_anywhere": is(flag),
		"http_extra_headers": of(map[string]option{others: is(text)}), "https_extra_headers": of(map[string]option{others: is(text)}),
		"request_queue_size": within(0, 4096), "thread_pool_size": is(anything), // accepted without a meaning: connections wait in the kernel
	}
}

func ctlSchema() map[string]option {
	return map[string]option{
		"insecure": is(flag), "cacert": is(text), "certfile": is(text), "keyfile": is(text), "keyfile_password": is(password),
		"authentication": basicLogin(),
	}
}

func logSchema() map[string]option {
	return map[string]option{
		"type": oneOf("plain", "json"), "level": oneOf(levelWords()...), "traceback_level": oneOf("ERROR", "DEBUG"), "format": is(layout),
		"dateformat": is(text), "static_fields": is(values), "max_queue_size": atLeast(1), "dir": is(text), "mode": is(mode),
		"file_size": within(0, 1<<40), "file_num": atLeast(0), "loggers": of(map[string]option{others: oneOf(levelWords()...)}),
		"deduplicate_heartbeat_logs": is(flag),
	}
}

// etcdSchema: the password may stand in an address, too.
func etcdSchema() map[string]option {
	return map[string]option{
		"host": is(text), "hosts": is(hosts), "port": within(1, 65535), "protocol": oneOf("http", "https"), "url": is(password), "proxy": is(password),
		"use_proxies": is(flag), "srv": is(text), "discovery_srv": is(text), "srv_domain": is(text), "srv_suffix": is(text),
		"username": is(text), "password": is(password), "cacert": is(text), "cert": is(text), "key": is(text),
	}
}

func postgresSchema(clone []string) map[string]option {
	login := map[string]option{}
	for _, name := range loginOptions() {
		login[name] = is(text)
	}
	login["password"], login["sslpassword"] = is(password), is(password)
	programs := map[string]option{}
	for _, name := range programNames() {
		programs[name] = is(text)
	}
	all := sharedSchema(clone)
	maps.Copy(all, map[string]option{
		"name": is(text), "listen": is(text), "connect_address": is(text), "proxy_address": is(text), "data_dir": is(text), "bin_dir": is(text),
		"bin_name": of(programs), "pgpass": is(text), "config_dir": is(text), "config_base_name": is(text), "database": is(text),
		"krbsrvname": is(text), "use_unix_socket": is(flag), "use_unix_socket_repl": is(flag),
		"authentication": of(map[string]option{"superuser": of(login), "replication": of(login), "rewind": of(login)}),
	})
	for _, older := range []string{"superuser", "replication", "pg_rewind"} {
		all[older] = of(login) // where there is no section authentication
	}
	return all
}

// sharedSchema are the options of the section postgresql that may stand in the dynamic configuration too.
func sharedSchema(clone []string) map[string]option {
	callbacks := map[string]option{}
	for _, event := range CallbackEvents() {
		callbacks[event] = is(command)
	}
	all := map[string]option{
		"parameters":     is(values),
		"pg_hba":         is(texts),
		"pg_ident":       is(texts),
		"custom_conf":    is(text),
		"recovery_conf":  is(values),
		"callbacks":      of(callbacks),
		"pre_promote":    is(command),
		"before_stop":    is(command),
		"pg_ctl_timeout": clamped(leastStart),
		"use_pg_rewind":  is(flag),
		"rewind":         is(options),
		"basebackup":     is(options),

		"create_replica_methods": is(texts),
		"create_replica_method":  is(texts), // an older name

		"remove_data_directory_on_rewind_failure":     is(flag),
		"remove_data_directory_on_diverged_timelines": is(flag),
	}
	for _, role := range roleSuffixes() {
		all["parameters"+role], all["pg_hba"+role], all["pg_ident"+role] = is(values), is(texts), is(texts)
	}
	addMethods(all, clone, map[string]option{"keep_data": is(flag)})
	return all
}

// addMethods adds the sections of methods. Their other options are handed to their programs.
func addMethods(all map[string]option, names []string, more map[string]option) {
	for _, name := range names {
		if _, ours := all[name]; ours {
			continue
		}
		method := map[string]option{"command": is(command), "no_params": is(flag), "no_leader": is(flag), others: is(handed)}
		maps.Copy(method, more)
		all[name] = of(method)
	}
}

func bootstrapSchema(ways waysIn) map[string]option {
	all := map[string]option{
		"dcs": of(dynamicSchema(ways.dynamicClone)), "method": is(text), "initdb": is(options), "pg_hba": is(texts),
		"post_bootstrap": is(command), "post_init": is(command), // two names of one
	}
	addMethods(all, ways.bootstrap, map[string]option{"keep_existing_recovery_conf": is(flag), "recovery_conf": is(values)})
	return all
}

// dynamicSchema are the options of the dynamic configuration (Patroni documentation, "Dynamic Configuration
// Settings"). Numbers outside their bounds are brought inside by whoever uses them.
func dynamicSchema(clone []string) map[string]option {
	pg := sharedSchema(clone)
	pg["use_slots"], pg[others] = is(flag), is(anything)
	remote := map[string]option{
		"host": is(text), "port": is(text), // one, or one for each host
		"primary_slot_name": is(text), "restore_command": is(text), "archive_cleanup_command": is(text),
		"recovery_min_apply_delay": is(text), "create_replica_methods": is(texts), others: is(anything),
	}
	return map[string]option{
		"ttl":                     clamped(20),
		"loop_wait":               clamped(1),
		"retry_timeout":           clamped(3),
		"maximum_lag_on_failover": clamped(0),
		"maximum_lag_on_syncnode": clamped(-1),
		"max_timelines_history":   clamped(0),
		"primary_start_timeout":   clamped(0),
		"master_start_timeout":    clamped(0), // an older name
		"primary_stop_timeout":    clamped(0),
		"master_stop_timeout":     clamped(0), // an older name
		"primary_race_backoff":    clamped(0),
		"synchronous_node_count":  clamped(1),
		"synchronous_mode":        oneOf("on", "off", "quorum"),
		"synchronous_mode_strict": is(flag),
		"member_slots_ttl":        is(span),
		"slots":                   is(slots),
		"permanent_slots":         is(slots), // two other names of it
		"ignore_slots":            is(patterns),
		"check_timeline":          is(flag),
		"failsafe_mode":           is(flag),
		"pause":                   is(flag),
		"postgresql":              of(pg),
		"standby_cluster":         of(remote),

		"permanent_replication_slots": is(slots),
		others:                        is(anything), // what another version may know
	}
}

func tagSchema() map[string]option {
	return map[string]option{
		tagNoFailover: is(flag), tagFailoverPriority: atLeast(0), tagNoSync: is(flag), tagSyncPriority: atLeast(0),
		tagCloneFrom: is(flag), tagNoLoadBalance: is(flag), tagNoStream: is(flag), tagReplicateFrom: is(text),
		others: is(anything),
	}
}
