// Content of prepared corpora that was looked at before: FOLDER/verified names the token files as they were then, a
// line each: name, device, inode, size, times of the last change of content and of the inode, in nanoseconds.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "trainer/data/mixture.h"

static bool describe(const char *folder, struct text *out) {
  static const char *const names[] = {"train.tokens", "validation.tokens"};
  struct arena scratch = {0};
  bool fine = true;
  for (size_t i = 0; i < sizeof names / sizeof *names && fine; i++) {
    struct stat status;
    fine = stat(path_join(&scratch, folder, names[i]), &status) == 0;
    if (fine)
      text_format(out, "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "%09ld %" PRId64 "%09ld\n", names[i],
                  (uint64_t)status.st_dev, (uint64_t)status.st_ino, (int64_t)status.st_size,
                  (int64_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (int64_t)status.st_ctim.tv_sec,
                  status.st_ctim.tv_nsec);
  }
  arena_free(&scratch);
  return fine;
}

bool corpus_verify_once(const char *folder, const char *digest, struct error *error) {
  if (mixture_is_folder(folder)) return mixture_verify_once(folder, error);
  struct arena scratch = {0};
  struct text now = {0};
  struct error ignored = {0};
  const char *path = path_join(&scratch, folder, "verified");
  bool described = describe(folder, &now);
  const char *before = described && file_exists(path) ? file_read(&scratch, path, NULL, &ignored) : NULL;
  bool fine = before && strcmp(before, text_string(&now)) == 0;
  if (!fine) {
    struct corpus *corpus = corpus_open(folder, digest, NULL, error);
    fine = corpus && corpus_verify(corpus, error);
    corpus_close(corpus);
    // A cache that may only be read is looked at each time.
    ignored = (struct error){0};
    if (fine && described) file_write_atomic(path, now.bytes, now.length, &ignored);
  }
  text_free(&now);
  arena_free(&scratch);
  return fine;
}
