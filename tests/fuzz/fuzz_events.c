// Fuzz target: any bytes as an event log. Read at once, read as it grows (cut anywhere) and read by a coordinator that
// comes later, it leaves the same in the store: the same points, the same results, the same lines passed over. A torn
// last line is cut off and nothing else.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/events_reader.h"
#include "tests/fuzz/fuzz.h"

static const char id[] = "0123456789abcdef0123456789abcdef";
static struct store *store;

static void open_store(void) {
  struct error error = {0};
  static struct run_config config;
  struct corpus_facts facts = {.vocabulary = 257, .irreducible_loss = NAN};
  config_default(&config);
  config.train.steps = 10;
  store = store_open(":memory:", STORE_CREATE, &error);
  if (!store || !config_resolve(&config, &facts, "float32", &error)) abort();
  struct run_record run = {.id = id,
                           .stage = "train",
                           .config = &config,
                           .trainer = "[]",
                           .corpus = facts,
                           .quantities = config_quantities(&config, &facts)};
  if (!store_run_add(store, &run, &error)) abort();
}

static void put(struct text *out, const char *sql) {
  struct error error = {0};
  struct store_rows *rows = store_select(store, sql, NULL, 0, &error);
  if (!rows) abort();
  while (store_rows_next(rows, &error)) {
    for (int i = 0; i < store_rows_columns(rows); i++) {
      struct value value = store_rows_value(rows, i);
      if (value.kind == VALUE_TEXT)
        text_format(out, "%s|", value.text);
      else
        text_format(out, "%.17g|", value.kind == VALUE_MISSING ? NAN : value.number);
    }
    text_char(out, '\n');
  }
  if (error.code) abort();
  store_rows_close(rows);
}

// What the store holds after reading these first bytes, and then, when `more`, all; with `anew` by another coordinator,
// which knows from the store alone how far the first one came.
static void ingest(const uint8_t *bytes, size_t first, size_t length, bool anew, struct text *out) {
  struct run_log log;
  struct error error = {0};
  if (!store_begin(store, &error)) abort();
  run_log_init(&log, 0, 0);
  const char *path = fuzz_file(bytes, first);
  if (!run_log_ingest(&log, store, id, path, 4.5, NULL, &error)) abort();
  if (first < length) {
    path = fuzz_file(bytes, length);
    if (anew) run_log_init(&log, log.reader.offset, log.reader.check);
    if (!run_log_ingest(&log, store, id, path, 4.5, NULL, &error)) abort();
  }
  text_format(out, "end %d step %lld of %lld, %lld damaged from line %lld, '%s'\n", log.end, (long long)log.step,
              (long long)log.steps, (long long)log.damage.lines, (long long)log.damage.first, log.message);
  put(out, "SELECT * FROM metrics ORDER BY kind, step");
  put(out, "SELECT * FROM runs");
  store_rollback(store);
}

static bool pass_over(void *context, const struct event *event, struct error *error) {
  if (event->kind != EVENT_OTHER && !*event_kind_name(event->kind)) abort();
  ++*(size_t *)context;
  return true;
}

__attribute__((noreturn)) static bool begin_again(void *context, struct error *error) { abort(); }

static size_t count_events(const char *path, struct events_reader *reader) {
  size_t count = 0;
  struct events_handler handler = {&count, begin_again, pass_over};
  struct error error = {0};
  *reader = (struct events_reader){0};
  if (!events_read(reader, path, &handler, NULL, &error)) abort();
  return count;
}

static char mended[] = "/tmp/isoloss-fuzz-events-XXXXXX";
static void remove_mended(void) { unlink(mended); }

// As fuzz_file, but a file with a name of its own: who mends one follows no link, not even the system's to open files.
static const char *mendable(const uint8_t *bytes, size_t length) {
  static int file = -1;
  if (file < 0) {
    file = mkstemp(mended);
    if (file < 0 || atexit(remove_mended) != 0) abort();
  }
  if (ftruncate(file, 0) != 0 || pwrite(file, bytes, length, 0) != (ssize_t)length) abort();
  return mended;
}

static void mend(const uint8_t *bytes, size_t length) {
  struct events_reader before, end, after;
  struct error error = {0};
  const char *path = mendable(bytes, length);
  size_t events = count_events(path, &before);
  if (!events_mend(path, &end, &error) || end.offset != before.offset || end.check != before.check) abort();
  if (count_events(path, &after) != events || after.offset != before.offset || after.lines != before.lines) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static const size_t cuts[] = {1, 2, 3, 5};
  struct text whole = {0}, parts = {0};
  if (!store) open_store();
  ingest(bytes, length, length, false, &whole);
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts && length > 0; i++) {
    text_clear(&parts);
    ingest(bytes, length * cuts[i] / 7, length, i % 2, &parts);
    if (strcmp(text_string(&whole), text_string(&parts)) != 0) {
      fprintf(stderr, "cut at %zu, %s:\n%sinstead of\n%s", length * cuts[i] / 7, i % 2 ? "read anew" : "read on",
              text_string(&parts), text_string(&whole));
      abort();
    }
  }
  mend(bytes, length);
  text_free(&whole);
  text_free(&parts);
  return 0;
}
