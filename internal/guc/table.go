package guc

// table are PostgreSQL's parameters from version 12 on, those for recovery included: on each line the name, the versions,
// and what its values are. The first line of a name whose versions contain the server's is the one that counts; a parameter
// without one is no parameter of that version, as far as is known here.
//
//	12-        from 12.0 on           13-17      from 13.0 to the last 17
//	14.5-14    from 14.5 to the last 14
//
//	text                        anything
//	bool                        a boolean
//	bool or WORD,WORD           a boolean or one of the words
//	enum WORD,WORD              one of the words; the empty word may be one
//	int LEAST..MOST UNIT        a whole number in the unit that pg_settings shows, or in one of the same kind
//	real LEAST..MOST UNIT       a number; without MOST there is no bound but the machine's
//
// Source: pg_settings of the versions. A test of package postgres compares it with that of the server at hand.
const table = `
allow_alter_system                          17-      bool
allow_in_place_tablespaces                  15-      bool
allow_in_place_tablespaces                  14.5-14  bool
allow_in_place_tablespaces                  13.8-13  bool
allow_in_place_tablespaces                  12.12-12 bool
allow_system_table_mods                     12-      bool
application_name                            12-      text
archive_cleanup_command                     12-      text
archive_command                             12-      text
archive_library                             15-      text
archive_mode                                12-      bool or always
archive_timeout                             12-      int 0..1073741823 s
array_nulls                                 12-      bool
authentication_timeout                      12-      int 1..600 s
autovacuum                                  12-      bool
autovacuum_analyze_scale_factor             12-      real 0..100
autovacuum_analyze_score_weight             19-      real 0..10
autovacuum_analyze_threshold                12-      int 0..
autovacuum_freeze_max_age                   12-      int 100000..2000000000
autovacuum_freeze_score_weight              19-      real 0..10
autovacuum_max_parallel_workers             19-      int 0..1024
autovacuum_max_workers                      12-      int 1..262143
autovacuum_multixact_freeze_max_age         12-      int 10000..2000000000
autovacuum_multixact_freeze_score_weight    19-      real 0..10
autovacuum_naptime                          12-      int 1..2147483 s
autovacuum_vacuum_cost_delay                12-      real -1..100 ms
autovacuum_vacuum_cost_limit                12-      int -1..10000
autovacuum_vacuum_insert_scale_factor       13-      real 0..100
autovacuum_vacuum_insert_score_weight       19-      real 0..10
autovacuum_vacuum_insert_threshold          13-      int -1..
autovacuum_vacuum_max_threshold             18-      int -1..
autovacuum_vacuum_scale_factor              12-      real 0..100
autovacuum_vacuum_score_weight              19-      real 0..10
autovacuum_vacuum_threshold                 12-      int 0..
autovacuum_work_mem                         12-      int -1.. kB
autovacuum_worker_slots                     18-      int 1..262143
backend_flush_after                         12-      int 0..256 8kB
backslash_quote                             12-      bool or safe_encoding
backtrace_functions                         13-      text
bgwriter_delay                              12-      int 10..10000 ms
bgwriter_flush_after                        12-      int 0..256 8kB
bgwriter_lru_maxpages                       12-      int 0..1073741823
bgwriter_lru_multiplier                     12-      real 0..10
bonjour                                     12-      bool
bonjour_name                                12-      text
bytea_output                                12-      enum escape,hex
check_function_bodies                       12-      bool
checkpoint_completion_target                12-      real 0..1
checkpoint_flush_after                      12-      int 0..256 8kB
checkpoint_timeout                          12-      int 30..86400 s
checkpoint_warning                          12-      int 0.. s
client_connection_check_interval            14-      int 0.. ms
client_encoding                             12-      text
client_min_messages                         12-      enum debug5,debug4,debug3,debug2,debug1,debug,log,notice,warning,error
cluster_name                                12-      text
commit_delay                                12-      int 0..100000
commit_siblings                             12-      int 0..1000
commit_timestamp_buffers                    17-      int 0..131072 8kB
compute_query_id                            14-14    bool or auto
compute_query_id                            15-      bool or auto,regress
config_file                                 12-      text
constraint_exclusion                        12-      bool or partition
cpu_index_tuple_cost                        12-      real 0..
cpu_operator_cost                           12-      real 0..
cpu_tuple_cost                              12-      real 0..
createrole_self_grant                       16-      text
cursor_tuple_fraction                       12-      real 0..1
data_directory                              12-      text
data_sync_retry                             12-      bool
datestyle                                   12-      text
db_user_namespace                           12-16    bool
deadlock_timeout                            12-      int 1.. ms
debug_discard_caches                        15-      int 0..0
debug_io_direct                             16-      text
debug_logical_replication_streaming         17-      enum buffered,immediate
debug_parallel_query                        16-      bool or regress
debug_pretty_print                          12-      bool
debug_print_parse                           12-      bool
debug_print_plan                            12-      bool
debug_print_raw_parse                       19-      bool
debug_print_rewritten                       12-      bool
default_statistics_target                   12-      int 1..10000
default_table_access_method                 12-      text
default_tablespace                          12-      text
default_text_search_config                  12-      text
default_toast_compression                   14-      enum pglz,lz4
default_transaction_deferrable              12-      bool
default_transaction_isolation               12-      enum serializable,repeatable read,read committed,read uncommitted
default_transaction_read_only               12-      bool
dynamic_library_path                        12-      text
dynamic_shared_memory_type                  12-      enum posix,sysv,mmap
effective_cache_size                        12-      int 1.. 8kB
effective_io_concurrency                    12-      int 0..1000
enable_async_append                         14-      bool
enable_bitmapscan                           12-      bool
enable_distinct_reordering                  18-      bool
enable_eager_aggregate                      19-      bool
enable_gathermerge                          12-      bool
enable_group_by_reordering                  17-      bool
enable_hashagg                              12-      bool
enable_hashjoin                             12-      bool
enable_incremental_sort                     13-      bool
enable_indexonlyscan                        12-      bool
enable_indexscan                            12-      bool
enable_material                             12-      bool
enable_memoize                              15-      bool
enable_mergejoin                            12-      bool
enable_nestloop                             12-      bool
enable_parallel_append                      12-      bool
enable_parallel_hash                        12-      bool
enable_partition_pruning                    12-      bool
enable_partitionwise_aggregate              12-      bool
enable_partitionwise_join                   12-      bool
enable_presorted_aggregate                  16-      bool
enable_self_join_elimination                18-      bool
enable_seqscan                              12-      bool
enable_sort                                 12-      bool
enable_tidscan                              12-      bool
escape_string_warning                       12-18    bool
event_source                                12-      text
event_triggers                              17-      bool
exit_on_error                               12-      bool
extension_control_path                      18-      text
extension_destdir                           14-17    text
external_pid_file                           12-      text
extra_float_digits                          12-      int -15..3
file_copy_method                            18-      enum copy,clone
file_extend_method                          19-      enum posix_fallocate,write_zeros
force_parallel_mode                         12-15    bool or regress
from_collapse_limit                         12-      int 1..
fsync                                       12-      bool
full_page_writes                            12-      bool
geqo                                        12-      bool
geqo_effort                                 12-      int 1..10
geqo_generations                            12-      int 0..
geqo_pool_size                              12-      int 0..
geqo_seed                                   12-      real 0..1
geqo_selection_bias                         12-      real 1.5..2
geqo_threshold                              12-      int 2..
gin_fuzzy_search_limit                      12-      int 0..
gin_pending_list_limit                      12-      int 64.. kB
gss_accept_delegation                       16-      bool
hash_mem_multiplier                         13-      real 1..1000
hba_file                                    12-      text
hosts_file                                  19-      text
hot_standby                                 12-      bool
hot_standby_feedback                        12-      bool
huge_page_size                              14-      int 0.. kB
huge_pages                                  12-      bool or try
icu_validation_level                        16-      enum disabled,debug5,debug4,debug3,debug2,debug1,debug,log,notice,warning,error
ident_file                                  12-      text
idle_in_transaction_session_timeout         12-      int 0.. ms
idle_replication_slot_timeout               18-      int 0.. s
idle_session_timeout                        14-      int 0.. ms
ignore_checksum_failure                     12-      bool
ignore_invalid_pages                        13-      bool
ignore_system_indexes                       12-      bool
intervalstyle                               12-      enum postgres,postgres_verbose,sql_standard,iso_8601
io_combine_limit                            17-17    int 1..32 8kB
io_combine_limit                            18-      int 1..128 8kB
io_max_combine_limit                        18-      int 1..128 8kB
io_max_concurrency                          18-      int -1..1024
io_max_workers                              19-      int 1..32
io_method                                   18-      enum sync,worker,io_uring
io_min_workers                              19-      int 1..32
io_worker_idle_timeout                      19-      int 0.. ms
io_worker_launch_interval                   19-      int 0.. ms
io_workers                                  18-18    int 1..32
jit                                         12-      bool
jit_above_cost                              12-      real -1..
jit_debugging_support                       12-      bool
jit_dump_bitcode                            12-      bool
jit_expressions                             12-      bool
jit_inline_above_cost                       12-      real -1..
jit_optimize_above_cost                     12-      real -1..
jit_profiling_support                       12-      bool
jit_provider                                12-      text
jit_tuple_deforming                         12-      bool
join_collapse_limit                         12-      int 1..
krb_caseins_users                           12-      bool
krb_server_keyfile                          12-      text
lc_messages                                 12-      text
lc_monetary                                 12-      text
lc_numeric                                  12-      text
lc_time                                     12-      text
listen_addresses                            12-      text
lo_compat_privileges                        12-      bool
local_preload_libraries                     12-      text
lock_timeout                                12-      int 0.. ms
log_autoanalyze_min_duration                19-      int -1.. ms
log_autovacuum_min_duration                 12-      int -1.. ms
log_checkpoints                             12-      bool
log_connections                             12-17    bool
log_connections                             18-      text
log_destination                             12-      text
log_directory                               12-      text
log_disconnections                          12-      bool
log_duration                                12-      bool
log_error_verbosity                         12-      enum terse,default,verbose
log_executor_stats                          12-      bool
log_file_mode                               12-      int 0..511
log_filename                                12-      text
log_hostname                                12-      bool
log_line_prefix                             12-      text
log_lock_failures                           18-      bool
log_lock_waits                              12-      bool
log_min_duration_sample                     13-      int -1.. ms
log_min_duration_statement                  12-      int -1.. ms
log_min_error_statement                     12-      enum debug5,debug4,debug3,debug2,debug1,debug,info,notice,warning,error,log,fatal,panic
log_min_messages                            12-18    enum debug5,debug4,debug3,debug2,debug1,debug,info,notice,warning,error,log,fatal,panic
log_min_messages                            19-      text
log_parameter_max_length                    13-      int -1..1073741823 B
log_parameter_max_length_on_error           13-      int -1..1073741823 B
log_parser_stats                            12-      bool
log_planner_stats                           12-      bool
log_recovery_conflict_waits                 14-      bool
log_replication_commands                    12-      bool
log_rotation_age                            12-      int 0..35791394 min
log_rotation_size                           12-17    int 0..2097151 kB
log_rotation_size                           18-      int 0.. kB
log_startup_progress_interval               15-      int 0.. ms
log_statement                               12-      enum none,ddl,mod,all
log_statement_sample_rate                   13-      real 0..1
log_statement_stats                         12-      bool
log_temp_files                              12-      int -1.. kB
log_timezone                                12-      text
log_transaction_sample_rate                 12-      real 0..1
log_truncate_on_rotation                    12-      bool
logging_collector                           12-      bool
logical_decoding_work_mem                   13-      int 64.. kB
logical_replication_mode                    16-16    enum buffered,immediate
maintenance_io_concurrency                  13-      int 0..1000
maintenance_work_mem                        12-17    int 1024.. kB
maintenance_work_mem                        18-      int 64.. kB
max_active_replication_origins              18-      int 0..262143
max_connections                             12-      int 1..262143
max_files_per_process                       12-12    int 25..
max_files_per_process                       13-      int 64..
max_locks_per_transaction                   12-      int 10..
max_logical_replication_workers             12-      int 0..262143
max_notify_queue_pages                      17-      int 64..
max_parallel_apply_workers_per_subscription 16-      int 0..1024
max_parallel_maintenance_workers            12-      int 0..1024
max_parallel_workers                        12-      int 0..1024
max_parallel_workers_per_gather             12-      int 0..1024
max_pred_locks_per_page                     12-      int 0..
max_pred_locks_per_relation                 12-      int -2147483648..
max_pred_locks_per_transaction              12-      int 10..
max_prepared_transactions                   12-      int 0..262143
max_repack_replication_slots                19-      int 0..262143
max_replication_slots                       12-      int 0..262143
max_slot_wal_keep_size                      13-      int -1.. MB
max_stack_depth                             12-      int 100.. kB
max_standby_archive_delay                   12-      int -1.. ms
max_standby_streaming_delay                 12-      int -1.. ms
max_sync_workers_per_subscription           12-      int 0..262143
max_wal_senders                             12-      int 0..262143
max_wal_size                                12-      int 2.. MB
max_worker_processes                        12-      int 0..262143
md5_password_warnings                       18-      bool
min_dynamic_shared_memory                   14-      int 0.. MB
min_eager_agg_group_size                    19-      real 0..
min_parallel_index_scan_size                12-      int 0..715827882 8kB
min_parallel_table_scan_size                12-      int 0..715827882 8kB
min_wal_size                                12-      int 2.. MB
multixact_member_buffers                    17-      int 16..131072 8kB
multixact_offset_buffers                    17-      int 16..131072 8kB
notify_buffers                              17-      int 16..131072 8kB
oauth_validator_libraries                   18-      text
old_snapshot_threshold                      12-16    int -1..86400 min
operator_precedence_warning                 12-13    bool
parallel_leader_participation               12-      bool
parallel_setup_cost                         12-      real 0..
parallel_tuple_cost                         12-      real 0..
password_encryption                         12-      enum md5,scram-sha-256
password_expiration_warning_threshold       19-      int 0.. s
plan_cache_mode                             12-      enum auto,force_generic_plan,force_custom_plan
port                                        12-      int 1..65535
post_auth_delay                             12-      int 0..2147 s
pre_auth_delay                              12-      int 0..60 s
primary_conninfo                            12-      text
primary_slot_name                           12-      text
promote_trigger_file                        12-15    text
quote_all_identifiers                       12-      bool
random_page_cost                            12-      real 0..
recovery_end_command                        12-      text
recovery_init_sync_method                   14-      enum fsync,syncfs
recovery_min_apply_delay                    12-      int 0.. ms
recovery_prefetch                           15-      bool or try
recovery_target                             12-      enum immediate,
recovery_target_action                      12-      enum pause,promote,shutdown
recovery_target_inclusive                   12-      bool
recovery_target_lsn                         12-      text
recovery_target_name                        12-      text
recovery_target_time                        12-      text
recovery_target_timeline                    12-      text
recovery_target_xid                         12-      text
recursive_worktable_factor                  15-      real 0.001..1000000.0
remove_temp_files_after_crash               14-      bool
reserved_connections                        16-      int 0..262143
restart_after_crash                         12-      bool
restore_command                             12-      text
restrict_nonsystem_relation_kind            17-      text
restrict_nonsystem_relation_kind            16.4-16  text
restrict_nonsystem_relation_kind            15.8-15  text
restrict_nonsystem_relation_kind            14.13-14 text
restrict_nonsystem_relation_kind            13.16-13 text
restrict_nonsystem_relation_kind            12.20-12 text
row_security                                12-      bool
scram_iterations                            16-      int 1..
search_path                                 12-      text
send_abort_for_crash                        16-      bool
send_abort_for_kill                         16-      bool
seq_page_cost                               12-      real 0..
serializable_buffers                        17-      int 16..131072 8kB
session_preload_libraries                   12-      text
session_replication_role                    12-      enum origin,replica,local
shared_buffers                              12-      int 16..1073741823 8kB
shared_memory_type                          12-      enum sysv,mmap
shared_preload_libraries                    12-      text
ssl                                         12-      bool
ssl_ca_file                                 12-      text
ssl_cert_file                               12-      text
ssl_ciphers                                 12-      text
ssl_crl_dir                                 14-      text
ssl_crl_file                                12-      text
ssl_dh_params_file                          12-      text
ssl_ecdh_curve                              12-17    text
ssl_groups                                  18-      text
ssl_key_file                                12-      text
ssl_max_protocol_version                    12-      enum ,tlsv1,tlsv1.1,tlsv1.2,tlsv1.3
ssl_min_protocol_version                    12-      enum tlsv1,tlsv1.1,tlsv1.2,tlsv1.3
ssl_passphrase_command                      12-      text
ssl_passphrase_command_supports_reload      12-      bool
ssl_prefer_server_ciphers                   12-      bool
ssl_sni                                     19-      bool
ssl_tls13_ciphers                           18-      text
standard_conforming_strings                 12-      bool
statement_timeout                           12-      int 0.. ms
stats_fetch_consistency                     15-      enum none,cache,snapshot
stats_temp_directory                        12-14    text
subtransaction_buffers                      17-      int 0..131072 8kB
summarize_wal                               17-      bool
superuser_reserved_connections              12-      int 0..262143
sync_replication_slots                      17-      bool
synchronize_seqscans                        12-      bool
synchronized_standby_slots                  17-      text
synchronous_commit                          12-      bool or local,remote_write,remote_apply
synchronous_standby_names                   12-      text
syslog_facility                             12-      enum local0,local1,local2,local3,local4,local5,local6,local7
syslog_ident                                12-      text
syslog_sequence_numbers                     12-      bool
syslog_split_messages                       12-      bool
tcp_keepalives_count                        12-      int 0..
tcp_keepalives_idle                         12-      int 0.. s
tcp_keepalives_interval                     12-      int 0.. s
tcp_user_timeout                            12-      int 0.. ms
temp_buffers                                12-      int 100..1073741823 8kB
temp_file_limit                             12-      int -1.. kB
temp_tablespaces                            12-      text
timezone                                    12-      text
timezone_abbreviations                      12-      text
timing_clock_source                         19-      enum auto,system,tsc
trace_connection_negotiation                17-      bool
trace_notify                                12-      bool
trace_recovery_messages                     12-16    enum debug5,debug4,debug3,debug2,debug1,debug,log,notice,warning,error
trace_sort                                  12-      bool
track_activities                            12-      bool
track_activity_query_size                   12-12    int 100..102400 B
track_activity_query_size                   13-      int 100..1048576 B
track_commit_timestamp                      12-      bool
track_cost_delay_timing                     18-      bool
track_counts                                12-      bool
track_functions                             12-      enum none,pl,all
track_io_timing                             12-      bool
track_wal_io_timing                         14-      bool
transaction_buffers                         17-      int 0..131072 8kB
transaction_deferrable                      12-      bool
transaction_isolation                       12-      enum serializable,repeatable read,read committed,read uncommitted
transaction_read_only                       12-      bool
transaction_timeout                         17-      int 0.. ms
transform_null_equals                       12-      bool
unix_socket_directories                     12-      text
unix_socket_group                           12-      text
unix_socket_permissions                     12-      int 0..511
update_process_title                        12-      bool
vacuum_buffer_usage_limit                   16-      int 0..16777216 kB
vacuum_cleanup_index_scale_factor           12-13    real 0..10000000000.0
vacuum_cost_delay                           12-      real 0..100 ms
vacuum_cost_limit                           12-      int 1..10000
vacuum_cost_page_dirty                      12-      int 0..10000
vacuum_cost_page_hit                        12-      int 0..10000
vacuum_cost_page_miss                       12-      int 0..10000
vacuum_defer_cleanup_age                    12-15    int 0..1000000
vacuum_failsafe_age                         14-      int 0..2100000000
vacuum_freeze_min_age                       12-      int 0..1000000000
vacuum_freeze_table_age                     12-      int 0..2000000000
vacuum_max_eager_freeze_failure_rate        18-      real 0..1
vacuum_multixact_failsafe_age               14-      int 0..2100000000
vacuum_multixact_freeze_min_age             12-      int 0..1000000000
vacuum_multixact_freeze_table_age           12-      int 0..2000000000
vacuum_truncate                             18-      bool
wal_buffers                                 12-      int -1..262143 8kB
wal_compression                             12-14    bool
wal_compression                             15-      bool or pglz,lz4,zstd
wal_consistency_checking                    12-      text
wal_decode_buffer_size                      15-      int 65536..1073741823 B
wal_init_zero                               12-      bool
wal_keep_segments                           12-12    int 0..
wal_keep_size                               13-      int 0.. MB
wal_level                                   12-      enum minimal,replica,logical
wal_log_hints                               12-      bool
wal_receiver_create_temp_slot               13-      bool
wal_receiver_status_interval                12-      int 0..2147483 s
wal_receiver_timeout                        12-      int 0.. ms
wal_recycle                                 12-      bool
wal_retrieve_retry_interval                 12-      int 1.. ms
wal_sender_shutdown_timeout                 19-      int -1.. ms
wal_sender_timeout                          12-      int 0.. ms
wal_skip_threshold                          13-      int 0.. kB
wal_summary_keep_time                       17-      int 0..35791394 min
wal_sync_method                             12-      enum fsync,fdatasync,open_sync,open_datasync
wal_writer_delay                            12-      int 1..10000 ms
wal_writer_flush_after                      12-      int 0.. 8kB
work_mem                                    12-      int 64.. kB
xmlbinary                                   12-      enum base64,hex
xmloption                                   12-      enum content,document
zero_damaged_pages                          12-      bool
`
