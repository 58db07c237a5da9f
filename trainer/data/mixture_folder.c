// Mixtures of text in the cache: corpora/DIGEST/manifest.json names the parts, prepared corpora that lie next to it.
// See mixture.h.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/mixture_state.h"
#include "trainer/data/tokenizer.h"

// ---- one of open parts ----

// What counts: shares and digests, in their order; not what the parts are called.
static void describe(struct corpus *corpus, const char *text) {
  const struct mixture *m = corpus->state;
  const struct tokenizer *tokenizer = corpus_tokenizer(m->corpora[0]);
  struct text counted = {0};
  text_format(&counted, "isoloss mixture 1\n");
  for (int i = 0; i < m->parts.count; i++)
    text_format(&counted, "%d %s\n", m->parts.items[i].share, corpus_digest(m->corpora[i]));
  struct digest digest = digest_string(text_string(&counted));
  snprintf(corpus->digest, sizeof corpus->digest, "%s", digest.hex);
  text_free(&counted);
  struct json_writer json = json_writer(&corpus->manifest, true);
  json_object_begin(&json);
  json_key_string(&json, "corpus", "mixture");
  json_key_integer(&json, "version", 1);
  json_key_string(&json, "digest", corpus->digest);
  json_key_string(&json, "source", text);
  if (tokenizer) {
    json_key(&json, "tokenizer");
    json_object_begin(&json);
    json_key_string(&json, "name", tokenizer->name);
    json_key_integer(&json, "vocabulary", tokenizer->vocabulary);
    json_object_end(&json);
  }
  json_key(&json, "parts");
  json_array_begin(&json);
  for (int i = 0; i < m->parts.count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "source", m->parts.items[i].name);
    json_key_number(&json, "share", (double)m->parts.items[i].share / MIXTURE_BLOCK);
    json_key_string(&json, "digest", corpus_digest(m->corpora[i]));
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
}

// The parts are open and their shares known.
static bool finish(struct corpus *corpus, const char *text, struct error *error) {
  struct mixture *m = corpus->state;
  for (int i = 0; i < m->parts.count; i++) {
    const struct corpus *own = m->corpora[i], *first = m->corpora[0];
    const struct tokenizer *a = corpus_tokenizer(first), *b = corpus_tokenizer(own);
    if (own->vocabulary != first->vocabulary || !a != !b || (a && strcmp(a->digest, b->digest) != 0))
      return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture: the tokens of %s are not those of %s",
                       m->parts.items[i].name, m->parts.items[0].name) ||
             error_about(error, "corpus.mixture", NULL);
    corpus->has_mask |= own->has_mask;
    m->first[i + 1] = m->first[i] + m->parts.items[i].share;
  }
  corpus->vocabulary = m->corpora[0]->vocabulary;
  mixture_order(m);
  describe(corpus, text);
  return true;
}

static struct mixture *begin(struct corpus *corpus) {
  corpus->ops = &mixture_ops;
  return corpus->state = memory_get(sizeof(struct mixture));
}

bool mixture_open_synthetic(struct corpus *corpus, const struct run_config *config, struct error *error) {
  struct mixture *m = begin(corpus);
  struct mixture_parts parts;
  if (!mixture_check(config, error) || !mixture_read(config->corpus.mixture, &m->arena, &parts, error)) return false;
  for (int i = 0; i < parts.count; i++) {
    struct run_config own;
    if (!mixture_part_config(config, &parts.items[i], &m->arena, &own, error)) return false;
    m->corpora[i] = corpus_open(NULL, NULL, &own, error);
    if (!m->corpora[i]) return false;
    m->parts.items[m->parts.count++] = parts.items[i];
  }
  return finish(corpus, config->corpus.mixture, error);
}

// ---- folders ----

static const char *manifest_of(struct arena *arena, const char *path) {
  return path_join(arena, path, "manifest.json");
}

static json_t *read_manifest(const char *path) {
  struct arena arena = {0};
  json_error_t problem;
  json_t *manifest = json_load_file(manifest_of(&arena, path), 0, &problem);
  const char *kind = json_string_value(json_object_get(manifest, "corpus"));
  arena_free(&arena);
  if (kind && strcmp(kind, "mixture") == 0) return manifest;
  json_decref(manifest);
  return NULL;
}

bool mixture_is_folder(const char *path) {
  json_t *manifest = read_manifest(path);
  json_decref(manifest);
  return manifest != NULL;
}

static bool open_part(struct mixture *m, const char *path, const json_t *part, struct error *error) {
  const char *name = json_string_value(json_object_get(part, "source")),
             *digest = json_string_value(json_object_get(part, "digest"));
  double share = json_number_value(json_object_get(part, "share"));
  int i = m->parts.count;
  if (!name || !digest || strspn(digest, "0123456789abcdef") != DIGEST_LENGTH || strlen(digest) != DIGEST_LENGTH ||
      !(share > 0 && share <= 1) || i == CORPUS_MOST_PARTS)
    return error_set(error, EXIT_ENVIRONMENT, "%s/manifest.json is damaged: remove the folder and plan the run again",
                     path);
  m->corpora[i] = corpus_open(path_join(&m->arena, path_join(&m->arena, path, ".."), digest), digest, NULL, error);
  if (!m->corpora[i]) return error_context(error, "%s of a mixture", name);
  m->parts.items[m->parts.count++] =
      (struct mixture_part){.name = arena_string(&m->arena, name), .share = (int)(share * MIXTURE_BLOCK + 0.5)};
  return true;
}

bool mixture_open_folder(struct corpus *corpus, const char *path, struct error *error) {
  struct mixture *m = begin(corpus);
  json_t *manifest = read_manifest(path), *part;
  const char *text = json_string_value(json_object_get(manifest, "source"));
  size_t i;
  int sum = 0;
  bool fine = true;
  json_array_foreach(json_object_get(manifest, "parts"), i, part) {
    fine = open_part(m, path, part, error);
    if (!fine) break;
    sum += m->parts.items[i].share;
  }
  if (fine && (!text || sum != MIXTURE_BLOCK))
    fine = error_set(error, EXIT_ENVIRONMENT, "%s/manifest.json is damaged: remove the folder and plan the run again",
                     path);
  fine = fine && finish(corpus, text, error);
  json_decref(manifest);
  return fine;
}

bool mixture_verify_once(const char *folder, struct error *error) {
  struct arena arena = {0};
  json_t *manifest = read_manifest(folder), *part;
  size_t i;
  bool fine = true;
  json_array_foreach(json_object_get(manifest, "parts"), i, part) {
    const char *digest = json_string_value(json_object_get(part, "digest"));
    fine = digest && corpus_verify_once(path_join(&arena, path_join(&arena, folder, ".."), digest), digest, error);
    if (!fine) break;
  }
  json_decref(manifest);
  arena_free(&arena);
  return fine;
}

// ---- finding and preparing ----

// An open mixture of parts that are all prepared; NULL on error.
static struct corpus *open_parts(const struct run_config *config, const struct mixture_parts *parts,
                                 const struct corpus_location *locations, struct error *error) {
  struct corpus *corpus = memory_get(sizeof *corpus);
  struct mixture *m = begin(corpus);
  for (int i = 0; i < parts->count; i++) {
    m->corpora[i] = corpus_open(locations[i].path, locations[i].digest, NULL, error);
    if (!m->corpora[i]) break;
    m->parts.items[m->parts.count] = parts->items[i];
    m->parts.items[m->parts.count++].name = arena_string(&m->arena, parts->items[i].name);
  }
  if (m->parts.count == parts->count && finish(corpus, config->corpus.mixture, error)) return corpus;
  corpus_close(corpus);
  return NULL;
}

static bool locate(const struct run_config *config, const struct mixture_parts *parts,
                   const struct corpus_location *locations, bool write, struct arena *arena,
                   struct corpus_location *location, struct error *error) {
  struct corpus *corpus = open_parts(config, parts, locations, error);
  if (!corpus) return false;
  const char *path = arena_format(arena, "%s/corpora/%s", isoloss_cache(arena), corpus_digest(corpus));
  const char *manifest = manifest_of(arena, path);
  bool fine = true;
  if (write && !mixture_is_folder(path))
    fine =
        folder_make(path, error) && file_write_atomic(manifest, corpus->manifest.bytes, corpus->manifest.length, error);
  if (fine && mixture_is_folder(path)) {
    location->path = arena_string(arena, path);
    snprintf(location->digest, sizeof location->digest, "%s", corpus_digest(corpus));
    location->prepared = true;
  }
  corpus_close(corpus);
  return fine;
}

bool mixture_find(const struct run_config *config, struct arena *arena, struct corpus_location *location,
                  struct error *error) {
  struct mixture_parts parts;
  struct corpus_location locations[CORPUS_MOST_PARTS];
  bool all = true;
  if (!mixture_read(config->corpus.mixture, arena, &parts, error)) return false;
  for (int i = 0; i < parts.count; i++) {
    struct run_config own;
    if (!mixture_part_config(config, &parts.items[i], arena, &own, error) ||
        !corpus_find(&own, arena, &locations[i], error))
      return false;
    all &= locations[i].prepared;
  }
  return !all || locate(config, &parts, locations, false, arena, location, error);
}

bool mixture_prepare(const struct run_config *config, bool refresh, corpus_progress *progress, void *context,
                     struct arena *arena, struct corpus_location *location, struct error *error) {
  struct mixture_parts parts;
  struct corpus_location locations[CORPUS_MOST_PARTS];
  if (!mixture_read(config->corpus.mixture, arena, &parts, error)) return false;
  for (int i = 0; i < parts.count; i++) {
    struct run_config own;
    if (!mixture_part_config(config, &parts.items[i], arena, &own, error) ||
        !corpus_prepare(&own, refresh, progress, context, arena, &locations[i], error))
      return false;
  }
  return locate(config, &parts, locations, true, arena, location, error);
}
