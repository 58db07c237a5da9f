// A worker's output, log.txt: its end, and that it does not grow without bound; see worker.h.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/execute/worker.h"

enum { LOG_LIMIT = 64 << 20, KEPT_HEAD = 64 << 10, KEPT_TAIL = 1 << 20 };

// The beginning up to a line's end, a line that says what is missing, and the end from a line's beginning on.
static void shorten(const char *bytes, size_t head, const char *end, size_t tail, off_t size, struct text *out) {
  const char *last = memrchr(bytes, '\n', head), *first = memchr(end, '\n', tail);
  if (last) head = (size_t)(last + 1 - bytes);
  size_t skipped = first && (size_t)(first - end) < tail / 2 ? (size_t)(first + 1 - end) : 0;
  text_append(out, bytes, head);
  if (!last) text_char(out, '\n');
  text_format(out,
              "# here isoloss left out %lld bytes: of a log of more than %d MiB the beginning and the end are kept\n",
              (long long)(size - (off_t)head - (off_t)(tail - skipped)), LOG_LIMIT >> 20);
  text_append(out, end + skipped, tail - skipped);
}

bool worker_log_trim(const char *folder) {
  struct arena scratch = {0};
  struct stat status;
  bool trimmed = false;
  const char *path = path_join(&scratch, folder, "log.txt");
  if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > LOG_LIMIT) {
    int file = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    char *bytes = memory_grow(NULL, KEPT_HEAD + KEPT_TAIL), *end = bytes + KEPT_HEAD;
    struct text kept = {0};
    if (file >= 0 && pread(file, bytes, KEPT_HEAD, 0) == KEPT_HEAD &&
        pread(file, end, KEPT_TAIL, status.st_size - KEPT_TAIL) == KEPT_TAIL) {
      shorten(bytes, KEPT_HEAD, end, KEPT_TAIL, status.st_size, &kept);
      // The worker appends, wherever the end is; what it writes between these two calls is lost, as is more.
      trimmed = pwrite(file, kept.bytes, kept.length, 0) == (ssize_t)kept.length &&
                ftruncate(file, (off_t)kept.length) == 0;
    }
    if (file >= 0) close(file);
    text_free(&kept);
    free(bytes);
  }
  arena_free(&scratch);
  return trimmed;
}

// Of a line that was drawn over, as bars of progress are, what a terminal would show at last.
static size_t keep_last_drawn(char *bytes, size_t length) {
  size_t used = 0, line = 0;
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] == '\r' && i + 1 < length && bytes[i + 1] != '\n' && bytes[i + 1] != '\r')
      used = line;
    else if (bytes[i] != '\r')
      bytes[used++] = bytes[i];
    if (bytes[i] == '\n') line = used;
  }
  return used;
}

char *worker_log_tail(struct arena *arena, const char *folder, int lines) {
  enum { TAIL = 8192 };
  char bytes[TAIL + 1];
  int file = open(path_join(arena, folder, "log.txt"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return arena_string(arena, "");
  off_t size = lseek(file, 0, SEEK_END), from = size > TAIL ? size - TAIL : 0;
  ssize_t got = pread(file, bytes, TAIL, from);
  close(file);
  if (got <= 0) return arena_string(arena, "");
  got = (ssize_t)keep_last_drawn(bytes, (size_t)got);
  while (got > 0 && bytes[got - 1] == '\n') got--;
  ssize_t start = got;
  for (int seen = 0; start > 0; start--)
    if (bytes[start - 1] == '\n' && ++seen == lines) break;
  // Of the last worker only: what stands above its head belongs to an earlier one.
  bytes[got] = '\0';
  for (char *head = bytes + start; (head = strstr(head, "\n$ "));) {
    char *next = strchr(head + 1, '\n');
    start = next ? next + 1 - bytes : got;
    head = bytes + start;
  }
  if (strncmp(bytes + start, "$ ", 2) == 0) {
    char *next = strchr(bytes + start, '\n');
    start = next ? next + 1 - bytes : got;
  }
  return arena_copy(arena, bytes + start, (size_t)(got - start));
}
