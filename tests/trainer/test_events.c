// The event log: whole lines or none, its lock, cutting back, a full disk.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/events.h"

static char folder[] = "/tmp/isoloss-events-XXXXXX";
static char path[64];

static char *content(struct arena *arena) {
  struct error error = {0};
  char *text = file_read(arena, path, NULL, &error);
  CHECK(text != NULL);
  return text ? text : "";
}

static void put(const char *bytes) {
  struct error error = {0};
  CHECK(file_write_atomic(path, bytes, strlen(bytes), &error));
}

static bool add(struct event_log *log, const char *name, double value) {
  struct error error = {0};
  json_key_number(event_begin(log, name), "value", value);
  return event_end(log, &error);
}

static void writes_lines(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct event_log log;
  unlink(path);
  CHECK(event_log_open(&log, &arena, path, &error));
  CHECK_TEXT(event_log_last(&log, &arena, &error), "");
  CHECK(add(&log, "step", 0.1 + 0.2));
  CHECK(add(&log, "done", NAN));
  CHECK_TEXT(content(&arena),
             "{\"event\":\"step\",\"value\":0.30000000000000004}\n{\"event\":\"done\",\"value\":null}\n");
  CHECK_TEXT(event_log_last(&log, &arena, &error), "done");
  CHECK(log.size == (int64_t)strlen(content(&arena)));
  event_log_close(&log);
  arena_free(&arena);
}

static void cuts_torn_lines(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct event_log log;
  put("{\"event\":\"step\"}\n{\"event\":\"st");
  CHECK(event_log_open(&log, &arena, path, &error));
  CHECK_TEXT(content(&arena), "{\"event\":\"step\"}\n");
  CHECK_TEXT(event_log_last(&log, &arena, &error), "step");
  event_log_close(&log);
  // A torn line and nothing else; and one longer than the block that is read from the end.
  put("{\"eve");
  CHECK(event_log_open(&log, &arena, path, &error) && log.size == 0);
  event_log_close(&log);
  struct text text = {0};
  text_add(&text, "{\"event\":\"a\"}\n");
  for (int i = 0; i < 200000; i++) text_char(&text, 'x');
  put(text_string(&text));
  text_free(&text);
  CHECK(event_log_open(&log, &arena, path, &error) && log.size == 14);
  event_log_close(&log);
  arena_free(&arena);
}

static void cuts_back(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct event_log log;
  unlink(path);
  CHECK(event_log_open(&log, &arena, path, &error));
  CHECK(add(&log, "a", 1));
  int64_t kept = log.size;
  CHECK(add(&log, "b", 2));
  CHECK(event_log_reaches(&log, 0) && event_log_reaches(&log, kept) && event_log_reaches(&log, log.size));
  CHECK(!event_log_reaches(&log, kept - 1) && !event_log_reaches(&log, log.size + 1) && !event_log_reaches(&log, -1));
  CHECK(event_log_cut(&log, kept, &error));
  CHECK(add(&log, "c", 3));
  CHECK_TEXT(content(&arena), "{\"event\":\"a\",\"value\":1}\n{\"event\":\"c\",\"value\":3}\n");
  event_log_close(&log);
  arena_free(&arena);
}

static void is_locked(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct event_log log, second;
  unlink(path);
  CHECK(event_log_open(&log, &arena, path, &error));
  int other = open(path, O_RDONLY);
  CHECK(flock(other, LOCK_SH | LOCK_NB) != 0);
  CHECK(!event_log_open(&second, &arena, path, &error));
  CHECK(error.code == EXIT_ENVIRONMENT && strstr(error.text, "another worker"));
  event_log_close(&log);
  CHECK(flock(other, LOCK_SH | LOCK_NB) == 0);
  close(other);
  arena_free(&arena);
}

// A file size limit stands for a full disk: the write is cut short, then refused.
static void survives_a_full_disk(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct event_log log;
  unlink(path);
  CHECK(event_log_open(&log, &arena, path, &error));
  CHECK(add(&log, "a", 1));
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit, kept;
  getrlimit(RLIMIT_FSIZE, &kept);
  limit = kept;
  limit.rlim_cur = (rlim_t)log.size + 5;
  setrlimit(RLIMIT_FSIZE, &limit);
  bool wrote = add(&log, "b", 2), again = add(&log, "b", 2);
  setrlimit(RLIMIT_FSIZE, &kept);
  CHECK(!wrote && !again);
  CHECK_TEXT(content(&arena), "{\"event\":\"a\",\"value\":1}\n");
  CHECK(add(&log, "c", 3));
  CHECK_TEXT(content(&arena), "{\"event\":\"a\",\"value\":1}\n{\"event\":\"c\",\"value\":3}\n");
  event_log_close(&log);
  arena_free(&arena);
}

int main(void) {
  struct error error = {0};
  if (!mkdtemp(folder)) return 1;
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  RUN(writes_lines);
  RUN(cuts_torn_lines);
  RUN(cuts_back);
  RUN(is_locked);
  RUN(survives_a_full_disk);
  folder_remove(folder, &error);
  return check_end();
}
