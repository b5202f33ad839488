/*
 * What statements may read (test/support/plans.ts). A new entry needs a reason why the number of rows does not grow with history:
 * with what was ever extracted, run or uploaded. Where there is none, the statement needs another index, or another form.
 */

/** Tables with few rows, whatever happens. */
export const small: Readonly<Record<string, string>> = {
  key: "one for each caller, made by hand; gone through by `keys` only",
  key_secret: "one or two for each key",
  storage: "one for each key",
};

const one = "one row";
const page = "in order: a page, or as many as a LIMIT says";
const run = "items of one run, whose number is limited";
const window = "a run's items that are with workers or in the queue: at most what its window holds";
const open = "work that has not ended";

/**
 * What they may search by: index and columns as EXPLAIN QUERY PLAN names them (an index alone: gone through), and how many rows these select. "in order:" is for the first rows in the index's order only, never all of them.
 */
export const bounds: Readonly<Record<string, string>> = {
  "INTEGER PRIMARY KEY rowid=?": "rows that a subquery under a LIMIT has named",

  "sqlite_autoindex_extract_1 key_id=? request_id=?": one,
  "sqlite_autoindex_extract_1 key_id=?": "in chunks under a LIMIT: `keys purge`, by hand; they go",
  "sqlite_autoindex_idempotency_1 key_id=?": "likewise",
  "sqlite_autoindex_usage_1 key_id=?": "likewise",
  "sqlite_autoindex_request_count_1 key_id=?": "likewise",
  "run_id key_id=?": "likewise",
  "extract_running lease_until<?": open,
  "extract_running lease_until>?": open,
  "extract_queued waiting_for=?": open,
  "extract_queued waiting_for=? sent_at=?": open,
  "extract_queued waiting_for=? sent_at<?": open,
  "extract_queued waiting_for=? sent_at=? lease_until<?": open,
  extract_running: open,
  extract_queued: open,
  extract_without_input: "none: such a row cannot be worked on, and is ended when it is seen",
  "extract_suspect suspects>?": open,
  "extract_deleted key_id=? created_at<?": page,
  "extract_by_time key_id=?": page,
  "extract_by_time key_id=? (created_at,request_id)<(?,?)": page,
  "extract_by_time key_id=? created_at<?": page,
  "extract_look_again not_before>? not_before<?": "deletions, each once, a quarter of an hour later",
  "extract_deleting ended_at<?": "deletions that were cut off",
  "extract_pending status=?": "answers that wait for the bucket to come back",
  "extract_input ended_at<?": "endings whose picture is still there: it goes at the next look",
  "extract_input_object <expr>=?": "extracts that have not ended and read this one object",
  "extract_in_line key_id=? not_before<?": "the first of a key, under a LIMIT in the index's order",
  "extract_in_line key_id>?": "the next key in line",
  "extract_in_flight key_id=?": open,
  "extract_handed_over key_id=? handed_over_at>?": "of the last minutes, under a LIMIT",
  "sqlite_autoindex_idempotency_1 key_id=? idempotency_key=?": one,
  "idempotency_expires_at expires_at<?": "under a LIMIT; they go",

  "sqlite_autoindex_run_1 run_uid=?": one,
  "run_id key_id=? run_id=?": one,
  "run_open touched_at<?": open,
  run_open: open,
  run_waiting: open,
  "run_look_again look_again_at>? look_again_at<?": "deletions, each once, a quarter of an hour later",
  "run_expires <expr><?": "runs whose time is over: they go",
  "run_list_key key_id=? created_at<?": page,
  "run_list_key_state key_id=? state=? created_at<?": page,
  "run_untold finished_at>?": "runs of the last day whose webhook was never tried",
  "run_source key_id=? source_run_id=?": "reruns of one run",
  run_list: page,
  "run_list (created_at,run_uid)<(?,?)": page,
  "run_list_state state=?": page,
  "run_list_state state=? (created_at,run_uid)<(?,?)": page,
  "run_list_task task_id=?": page,
  "run_list_task task_id=? (created_at,run_uid)<(?,?)": page,
  "run_list_task_state task_id=? state=?": page,
  "run_list_task_state task_id=? state=? (created_at,run_uid)<(?,?)": page,
  "run_list_key key_id=?": page,
  "run_list_key key_id=? (created_at,run_uid)<(?,?)": page,
  "run_list_key_state key_id=? state=?": page,
  "run_list_key_state key_id=? state=? (created_at,run_uid)<(?,?)": page,
  "run_list_key_task key_id=? task_id=?": page,
  "run_list_key_task key_id=? task_id=? (created_at,run_uid)<(?,?)": page,
  "run_list_key_task_state key_id=? task_id=? state=?": page,
  "run_list_key_task_state key_id=? task_id=? state=? (created_at,run_uid)<(?,?)": page,

  "sqlite_autoindex_item_1 run_uid=?": run,
  "sqlite_autoindex_item_1 run_uid=? idx=?": one,
  "sqlite_autoindex_item_1 run_uid=? idx<?": run,
  "sqlite_autoindex_item_1 run_uid=? idx>?": run,
  "sqlite_autoindex_item_1 run_uid=? idx>? idx<?": run,
  "item_custom_id run_uid=? custom_id=?": one,
  "item_file run_uid=? file=?": one,
  "item_window run_uid=?": run,
  "item_window run_uid=? status=?": run,
  "item_window run_uid=? status=? sent_epoch=?": window,
  "item_window run_uid=? status=? sent_epoch<?": run,
  "item_window run_uid=? status=? sent_epoch>? sent_epoch<?": run,
  "item_lone run_uid=?": run,
  "item_lease lease_until<?": open,
  "item_lease lease_until>?": open,
  "item_data_open object_key=?": open,
  "item_data_open object_key>? object_key<?": open,
  "item_object_key object_key=?": "items that name one upload, which lives for a week",

  "sqlite_autoindex_upload_1 ref=?": one,
  "upload_key_id key_id=?": "in chunks under a LIMIT: `keys purge`, by hand; they go",
  "upload_keep_until keep_until<?": "they go at the next look, unless a run has yet to read them",
  "sqlite_autoindex_usage_1 key_id=? day=?": "one for each task",
  "sqlite_autoindex_usage_1 key_id=? day>? day<?": "one for each task and day of at most 400",
  "usage_day day=?": "one for each key and task",
  "usage_day day>? day<?": "one for each key, task and day of at most 400",
  "sqlite_autoindex_storage_1 key_id=?": one,
  "sqlite_autoindex_request_count_1 key_id=? minute=?": one,
  "request_count_minute minute<?": "under a LIMIT; they go",
  "sqlite_autoindex_key_1 key_id=?": one,
  "sqlite_autoindex_key_secret_1 hash=?": one,
  "key_secret_key_id key_id=?": "one or two",
  "key_secret_expires_at expires_at>? expires_at<?":
    "keys that end within a month or have just ended, under a LIMIT",
  "sqlite_autoindex_breaker_1 name=?": one,
  "sqlite_autoindex_queue_look_1 name=?": one,
  "sqlite_autoindex_webhook_due_1 run_uid=?": one,
  "sqlite_autoindex_webhook_host_1 host=?": one,
  "sqlite_autoindex_webhook_host_1 host>? host<?":
    "a key's hosts that do not answer: `keys purge`, by hand; they go",
  "webhook_due_key key_id=?": "under a LIMIT; they go with their key",
  "webhook_due_key key_id=? due_at<?": "the first of a key, under a LIMIT in the index's order",
  "webhook_due_key key_id>?": "the next key with a call that is due",
  "webhook_due_sent key_id=? sent_until>?": "a key's calls that are under way",
  "sqlite_autoindex_setting_1 name=?": one,
};
