// Finding and preparing corpora in the cache:
//
//   requests/KEY       the digest of the corpus that a request (source, tokenizer, split, files) led to
//   corpora/DIGEST/    train.tokens, validation.tokens, manifest.json, tokenizer.model
//   sources/NAME/      the text of a named source; packages/, tokenizers/: what was downloaded and trained
//
// A corpus is made in a folder of another name and renamed when it is complete; requests/KEY comes last.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trainer/data/documents.h"
#include "trainer/data/manifest.h"
#include "trainer/data/mixture.h"
#include "trainer/data/named_source.h"
#include "trainer/data/prepared.h"
#include "trainer/data/request.h"
#include "trainer/data/split_writer.h"
#include "trainer/data/tokenizer_training.h"

// The corpus that a request led to before, when it is still there.
static void look_up(const char *cache, const char *key, struct arena *arena, struct corpus_location *location) {
  struct error unread = {0};
  size_t length;
  const char *path = arena_format(arena, "%s/requests/%s", cache, key);
  const char *digest = file_exists(path) ? file_read(arena, path, &length, &unread) : NULL;
  if (!digest || length < DIGEST_LENGTH) return;
  snprintf(location->digest, sizeof location->digest, "%.*s", DIGEST_LENGTH, digest);
  location->path = arena_format(arena, "%s/corpora/%s", cache, location->digest);
  // What cannot be opened (damaged, or of an older version) counts as not there: it is made anew.
  struct corpus *corpus = corpus_open(location->path, location->digest, NULL, &unread);
  location->prepared = corpus != NULL;
  corpus_close(corpus);
  if (!location->prepared) *location = (struct corpus_location){.path = arena_string(arena, "")};
}

// With suites in it a prepared text is another corpus: the digest becomes that one's.
static bool name_mixed(const struct run_config *config, struct corpus_location *location, struct error *error) {
  if (!location->prepared || !(config->corpus.suites_share > 0)) return true;
  struct corpus *corpus = corpus_open(location->path, NULL, config, error);
  if (corpus) snprintf(location->digest, sizeof location->digest, "%s", corpus_digest(corpus));
  corpus_close(corpus);
  return corpus != NULL;
}

static bool find(struct corpus_request *request, const struct run_config *config, struct arena *arena, char key[40],
                 struct corpus_location *location, struct error *error) {
  *location = (struct corpus_location){.path = arena_string(arena, "")};
  if (!request_of(request, config, error)) return false;
  if (request->kind == CORPUS_MIXTURE && !request->synthetic)
    return mixture_find(config, arena, location, error) && name_mixed(config, location, error);
  if (request->kind != CORPUS_NAMED && request->kind != CORPUS_FILES) {
    struct corpus *corpus = corpus_open(NULL, NULL, config, error);
    if (!corpus) return false;
    snprintf(location->digest, sizeof location->digest, "%s", corpus_digest(corpus));
    location->prepared = true;
    corpus_close(corpus);
    return true;
  }
  if (request->kind == CORPUS_FILES && !request_find_files(request, arena, error)) return false;
  if (!request_key(request, arena, key, error)) return false;
  look_up(isoloss_cache(arena), key, arena, location);
  return name_mixed(config, location, error);
}

bool corpus_find(const struct run_config *config, struct arena *arena, struct corpus_location *location,
                 struct error *error) {
  struct corpus_request request;
  char key[40];
  return find(&request, config, arena, key, location, error);
}

bool corpus_preparable(const struct run_config *config, struct error *error) {
  struct corpus_request request;
  if (!request_of(&request, config, error)) return false;
  bool text = request.kind == CORPUS_NAMED || request.kind == CORPUS_FILES;
  if (request.kind == CORPUS_MIXTURE && !request.synthetic && ends_with(config->corpus.tokenizer, ".model"))
    return tokenizer_needs_sentencepiece(error);
  return !text || request.tokenizer != TOKENIZER_SENTENCEPIECE || tokenizer_needs_sentencepiece(error);
}

static bool find_facts(const struct run_config *config, bool usable, struct corpus_facts *facts,
                       struct corpus_location *location, struct arena *arena, struct error *error) {
  struct corpus_location found;
  *facts = (struct corpus_facts){0};
  if (!corpus_find(config, arena, &found, error)) return false;
  if (location) *location = found;
  if (!found.prepared) return true;
  struct corpus *corpus = corpus_open(found.path, found.digest, config, error);
  if (!corpus) return false;
  bool fine =
      !usable || (corpus_check_context(corpus, config->model.context, error) && corpus_check_targets(corpus, error));
  if (fine) *facts = corpus_facts(corpus, config->model.context);
  corpus_close(corpus);
  return fine;
}

bool corpus_facts_find(const struct run_config *config, struct corpus_facts *facts, struct corpus_location *location,
                       struct arena *arena, struct error *error) {
  return find_facts(config, false, facts, location, arena, error);
}

bool corpus_facts_usable(const struct run_config *config, struct corpus_facts *facts, struct corpus_location *location,
                         struct arena *arena, struct error *error) {
  return find_facts(config, true, facts, location, arena, error);
}

// ---- Building ----

struct building {
  struct corpus_request *request;
  struct arena *arena;
  corpus_progress *progress;
  void *context;
  const char *cache, *folder;  // the cache, and where the corpus is made
  bool refresh;
  struct documents documents;
  struct tokenizer tokenizer;
  struct named_source source;
  bool has_mask;
};

static void report(const struct building *building, const char *what) {
  if (building->progress) building->progress(building->context, what, -1);
}

static bool collect(struct building *building, struct error *error) {
  struct corpus_request *request = building->request;
  struct documents *documents = &building->documents;
  bool fine;
  if (request->kind == CORPUS_NAMED)
    fine = named_source_get(request->name, building->refresh, building->progress, building->context, building->arena,
                            &building->source, error) &&
           documents_of_source(documents, building->source.text_path, building->source.bounds_path, error);
  else if (request->tokenizer == TOKENIZER_NUMBERS)
    fine =
        documents_of_tokens(documents, request->files, request->file_count, request->width, &building->has_mask, error);
  else
    fine = documents_of_files(documents, request->files, request->file_count, request->validation_fraction, error);
  fine = fine && documents_split(documents, request->validation_fraction, error);
  if (!fine && request->kind != CORPUS_NAMED) error_about(error, "corpus.files", NULL);
  return fine;
}

static bool all_utf8(const struct documents *documents, struct error *error) {
  for (size_t i = 0; i < documents->count; i++) {
    const struct document_piece *piece = &documents->items[i];
    size_t valid = utf8_valid_prefix(piece->bytes, piece->length);
    if (valid == piece->length) continue;
    const struct mapped_file *file = &documents->files[piece->file];
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: byte %zu is not UTF-8, which sentencepiece needs: convert the file, or use corpus.tokenizer: "
                     "bytes",
                     file->path, (size_t)(piece->bytes - file->bytes) + valid) ||
           error_about(error, "corpus.tokenizer", NULL);
  }
  return true;
}

static bool get_tokenizer(struct building *building, struct error *error) {
  struct corpus_request *request = building->request;
  if (request->tokenizer == TOKENIZER_BYTES) {
    building->tokenizer = tokenizer_bytes();
    return true;
  }
  if (request->tokenizer == TOKENIZER_NUMBERS) {
    building->tokenizer = tokenizer_numbers(request->width, request->vocabulary);
    return true;
  }
  if (!all_utf8(&building->documents, error)) return false;
  if (request->model_path) {
    size_t length;
    const char *model = file_read(building->arena, request->model_path, &length, error);
    if (!model || !tokenizer_load(&building->tokenizer, model, length, false, request->model_path, error))
      return error_context(error, "corpus.tokenizer") || error_about(error, "corpus.tokenizer", NULL);
    if (request->vocabulary && request->vocabulary != building->tokenizer.vocabulary)
      return error_set(error, EXIT_USAGE_ERROR, "corpus.vocabulary is %lld, but %s has %lld pieces: leave it out",
                       (long long)request->vocabulary, request->model_path,
                       (long long)building->tokenizer.vocabulary) ||
             error_about(error, "corpus.vocabulary", NULL);
    return true;
  }
  report(building, "training the sentencepiece vocabulary");
  return tokenizer_train(&building->tokenizer, &building->documents, request->vocabulary, error);
}

static bool write_split(struct building *building, bool validation, struct token_file_header *header,
                        struct error *error) {
  const struct documents *documents = &building->documents;
  struct split_job job = {
      .documents = documents,
      .first = validation ? 0 : documents->validation_count,
      .count = validation ? documents->validation_count : documents->count - documents->validation_count,
      .tokenizer = &building->tokenizer,
      .width = building->request->width                  ? building->request->width
               : building->tokenizer.vocabulary <= 65536 ? 2
                                                         : 4,
      .has_mask = building->has_mask,
      .lengths = validation && building->tokenizer.kind == TOKENIZER_SENTENCEPIECE,
      .progress = building->progress,
      .context = building->context,
      .what = validation ? "tokenizing the validation split" : "tokenizing the training split"};
  return split_write(&job,
                     path_join(building->arena, building->folder, validation ? "validation.tokens" : "train.tokens"),
                     header, error);
}

// Makes the corpus in its temporary folder and moves it to corpora/DIGEST.
static bool build(struct building *building, struct corpus_location *location, struct error *error) {
  struct arena *arena = building->arena;
  struct token_file_header train, validation;
  if (!collect(building, error) || !get_tokenizer(building, error)) return false;
  if (!folder_remove(building->folder, error) || !folder_make(building->folder, error)) return false;
  if (!write_split(building, true, &validation, error) || !write_split(building, false, &train, error)) return false;
  prepared_digest(&train, &validation, location->digest);
  struct manifest manifest = {.digest = location->digest,
                              .request = building->request,
                              .documents = &building->documents,
                              .tokenizer = &building->tokenizer,
                              .train = &train,
                              .validation = &validation,
                              .source_description = building->source.description};
  struct text text = {0};
  manifest_write(&manifest, &text);
  bool fine = file_write_atomic(path_join(arena, building->folder, "manifest.json"), text.bytes, text.length, error);
  text_free(&text);
  const struct text *model = &building->tokenizer.model_bytes;
  if (fine && model->length)
    fine = file_write_atomic(path_join(arena, building->folder, "tokenizer.model"), model->bytes, model->length, error);
  if (!fine) return false;
  const char *corpora = path_join(arena, building->cache, "corpora");
  location->path = path_join(arena, corpora, location->digest);
  // The same content may have come another way before; it is the same corpus. A damaged one gives way.
  struct error damaged = {0};
  struct corpus *old =
      file_exists(location->path) ? corpus_open(location->path, location->digest, NULL, &damaged) : NULL;
  bool intact = old && corpus_verify(old, &damaged);
  corpus_close(old);
  if (intact) return folder_remove(building->folder, error);
  if (!folder_remove(location->path, error)) return false;
  if (rename(building->folder, location->path) != 0) {
    // Another request with the same content was faster.
    if (errno == EEXIST || errno == ENOTEMPTY) return folder_remove(building->folder, error);
    return error_set_errno(error, EXIT_ENVIRONMENT, "cannot move the corpus to %s", location->path);
  }
  return folder_sync(corpora, error);
}

// The lock of a request, waiting for whoever holds it. -1 on error.
static int wait_for_lock(const struct building *building, const char *key, struct error *error) {
  const char *folder = path_join(building->arena, building->cache, "locks");
  if (!folder_make(folder, error)) return -1;
  const char *path = path_join(building->arena, folder, key);
  bool busy, said = false;
  int lock;
  while ((lock = file_lock(path, &busy, error)) < 0 && busy) {
    if (!said) report(building, "waiting for another process that prepares this corpus");
    said = true;
    usleep(100000);
  }
  return lock;
}

bool corpus_prepare(const struct run_config *config, bool refresh, corpus_progress *progress, void *context,
                    struct arena *arena, struct corpus_location *location, struct error *error) {
  struct corpus_request request;
  char key[40] = "";
  if (!find(&request, config, arena, key, location, error)) return false;
  if (location->prepared && (!refresh || !*location->path)) return true;
  if (request.kind == CORPUS_MIXTURE)
    return mixture_prepare(config, refresh, progress, context, arena, location, error) &&
           name_mixed(config, location, error);
  struct building building = {.request = &request,
                              .arena = arena,
                              .progress = progress,
                              .context = context,
                              .cache = isoloss_cache(arena),
                              .refresh = refresh};
  int lock = wait_for_lock(&building, key, error);
  if (lock < 0) return false;
  look_up(building.cache, key, arena, location);
  bool fine = true;
  if (!location->prepared || refresh) {
    const char *requests = path_join(arena, building.cache, "requests");
    const char *place = path_join(arena, requests, key);
    file_remove_unfinished(place);
    building.folder = arena_format(arena, "%s/corpora/.%s.building", building.cache, key);
    fine = build(&building, location, error) && folder_make(requests, error) &&
           file_write_atomic(place, location->digest, strlen(location->digest), error);
    location->prepared = fine;
    documents_free(&building.documents);
    tokenizer_free(&building.tokenizer);
    struct error leftover = {0};
    if (!fine) folder_remove(building.folder, &leftover);  // the error that counts is set already
  }
  close(lock);
  return fine && name_mixed(config, location, error);
}
