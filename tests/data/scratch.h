// A folder of its own for a test program, with the corpus cache in it; removed at the end.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

static char scratch[64];

static inline void scratch_begin(void) {
  snprintf(scratch, sizeof scratch, "/tmp/isoloss-test-XXXXXX");
  if (!mkdtemp(scratch)) exit(99);
  setenv("XDG_CACHE_HOME", scratch, 1);
}

static inline void scratch_end(void) {
  struct error error = {0};
  folder_remove(scratch, &error);
}

// Path of a file in the folder; the arena owns it.
static inline char *scratch_path(struct arena *arena, const char *name) { return path_join(arena, scratch, name); }

static inline void scratch_write(const char *name, const void *bytes, size_t length) {
  struct arena arena = {0};
  FILE *file = fopen(scratch_path(&arena, name), "wb");
  if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
    printf("Bail out! cannot write %s in %s\n", name, scratch);
    exit(99);
  }
  arena_free(&arena);
}
