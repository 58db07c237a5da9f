// A worker's output, log.txt: its end, and that it does not grow without bound; see worker.h.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/execute/worker.h"

enum { LOG_LIMIT = 64 << 20, KEPT_HEAD = 64 << 10, KEPT_TAIL = 1 << 20 };  // whole blocks of any file system

// The worker continues appending meanwhile: the middle is taken out at once, or made a hole, so that nothing that it
// writes is lost.
static bool take_out(int file, off_t from, off_t length) {
  return fallocate(file, FALLOC_FL_COLLAPSE_RANGE, from, length) == 0 ||
         fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, length) == 0;
}

bool worker_log_trim(const char *folder) {
  static const char notice[] =
      "\n# isoloss left out what stood here: of a log of more than 64 MiB the beginning and the end are kept\n";
  struct arena scratch = {0};
  struct stat status;
  const char *path = path_join(&scratch, folder, "log.txt");
  bool long_one = stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > LOG_LIMIT &&
                  (int64_t)status.st_blocks * 512 > LOG_LIMIT;  // not one with a hole already
  int file = long_one ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
  off_t end = (status.st_size - KEPT_TAIL) / KEPT_HEAD * KEPT_HEAD, size = (off_t)sizeof notice - 1;
  bool trimmed = file >= 0 && take_out(file, KEPT_HEAD, end - KEPT_HEAD) &&
                 pwrite(file, notice, (size_t)size, KEPT_HEAD - size) == size;
  if (file >= 0) close(file);
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
  // Of the last worker only: what is above its head belongs to an earlier one.
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
