// See cache.h.
#include "trainer/data/cache.h"

#include <dirent.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

double corpus_folder_size(const char *path) {
  DIR *folder = opendir(path);
  if (!folder) return 0;
  double total = 0;
  struct dirent *entry;
  while ((entry = readdir(folder))) {
    char inside[PATH_MAX];
    struct stat status;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) >= (int)sizeof inside) continue;
    if (lstat(inside, &status) != 0) continue;
    total += S_ISDIR(status.st_mode) ? corpus_folder_size(inside) : (double)status.st_size;
  }
  closedir(folder);
  return total;
}

static const char *text_of(struct arena *arena, const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return arena_string(arena, text ? text : "");
}

static int64_t number_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static bool read_entry(struct arena *arena, const char *path, struct corpus_entry *entry) {
  json_error_t problem;
  json_t *manifest = json_load_file(path_join(arena, path, "manifest.json"), 0, &problem);
  if (!manifest) return false;
  const json_t *tokenizer = json_object_get(manifest, "tokenizer"), *train = json_object_get(manifest, "train"),
               *validation = json_object_get(manifest, "validation");
  *entry = (struct corpus_entry){.digest = text_of(arena, manifest, "digest"),
                                 .path = arena_string(arena, path),
                                 .source = text_of(arena, manifest, "source"),
                                 .tokenizer = text_of(arena, tokenizer, "name"),
                                 .prepared = text_of(arena, manifest, "prepared"),
                                 .vocabulary = number_of(tokenizer, "vocabulary"),
                                 .train_tokens = number_of(train, "tokens"),
                                 .validation_tokens = number_of(validation, "tokens"),
                                 .documents = number_of(train, "documents") + number_of(validation, "documents"),
                                 .text_bytes = number_of(train, "bytes") + number_of(validation, "bytes"),
                                 .size = corpus_folder_size(path)};
  int64_t whole = number_of(manifest, "whole_documents");  // of those that were cut into pieces
  if (whole > 0) entry->documents = whole;
  const json_t *parts = json_object_get(manifest, "parts");
  entry->part_count = json_array_size(parts);
  const char **digests = arena_array(arena, entry->part_count + 1, sizeof *digests);
  for (size_t i = 0; i < entry->part_count; i++) digests[i] = text_of(arena, json_array_get(parts, i), "digest");
  entry->parts = digests;
  json_decref(manifest);
  return true;
}

static int newest_first(const void *a, const void *b) {
  const struct corpus_entry *left = a, *right = b;
  int order = strcmp(right->prepared, left->prepared);
  return order ? order : strcmp(left->digest, right->digest);
}

size_t corpus_cache_list(struct arena *arena, struct corpus_entry **entries) {
  const char *corpora = path_join(arena, isoloss_cache(arena), "corpora");
  size_t count = 0;
  *entries = NULL;
  DIR *folder = opendir(corpora);
  if (!folder) return 0;
  struct dirent *item;
  while ((item = readdir(folder))) {
    struct corpus_entry entry;
    if (item->d_name[0] == '.' || !read_entry(arena, path_join(arena, corpora, item->d_name), &entry)) continue;
    *entries = arena_grow(arena, *entries, count, count + 1, sizeof **entries);
    (*entries)[count++] = entry;
  }
  closedir(folder);
  if (count) qsort(*entries, count, sizeof **entries, newest_first);
  return count;
}

const char *corpus_cache_find(struct arena *arena, const char *which, struct error *error) {
  if (strchr(which, '/') && file_exists(path_join(arena, which, "manifest.json"))) return which;
  if (strlen(which) < 4 || strspn(which, "0123456789abcdef") != strlen(which)) return NULL;
  struct corpus_entry *entries;
  size_t count = corpus_cache_list(arena, &entries);
  const char *found = NULL;
  for (size_t i = 0; i < count; i++) {
    if (!starts_with(entries[i].digest, which)) continue;
    if (found) {
      error_set(error, EXIT_USAGE_ERROR, "several corpora begin with %s: write more of the digest", which);
      return NULL;
    }
    found = entries[i].path;
  }
  if (!found) error_set(error, EXIT_USAGE_ERROR, "no corpus in the cache begins with %s", which);
  return found;
}
