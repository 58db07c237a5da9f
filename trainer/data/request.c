// See request.h.
#include "trainer/data/request.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trainer/data/mixture.h"
#include "trainer/data/source.h"

const char *const corpus_names[] = {"gcide", "english", "linux-core", "kjv", NULL};
const char *const corpus_sources[] = {"gcide",   "english", "linux-core", "kjv",     "zipfmem",
                                      "markov2", "suites",  "files",      "mixture", NULL};
const char *const corpus_tokenizers[] = {"bytes", "sentencepiece", "uint16", "uint32", NULL};

enum { DEFAULT_PIECES = 4096, FEWEST_PIECES = 260, MOST_PIECES = 1 << 20, BYTES_VOCABULARY = 257 };

static bool check_source(struct corpus_request *request, const struct run_config *config, struct error *error) {
  const char *source = config->corpus.source;
  // Files given, the default source means them; another name besides them is a contradiction.
  bool files = config->corpus.files && *config->corpus.files;
  if (files && strcmp(source, "gcide") == 0) source = "files";
  request->name = source;
  request->patterns = config->corpus.files;
  if (strcmp(source, "files") == 0) {
    request->kind = CORPUS_FILES;
    return files || error_set(error, EXIT_USAGE_ERROR, "corpus.source is files, but corpus.files names none") ||
           error_about(error, "corpus.source", "corpus.files", NULL);
  }
  if (files)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.files and corpus.source %s exclude each other", source) ||
           error_about(error, "corpus.files", "corpus.source", NULL);
  if (strcmp(source, "mixture") == 0)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.source is mixture, but corpus.mixture names none") ||
           error_about(error, "corpus.source", "corpus.mixture", NULL);
  if (strcmp(source, "zipfmem") == 0) {
    request->kind = CORPUS_ZIPFMEM;
    return true;
  }
  if (strcmp(source, "markov2") == 0) {
    request->kind = CORPUS_MARKOV2;
    return true;
  }
  if (strcmp(source, "suites") == 0) {
    request->kind = CORPUS_SUITES;
    return true;
  }
  request->kind = CORPUS_NAMED;
  for (const char *const *name = corpus_names; *name; name++)
    if (strcmp(source, *name) == 0) return true;
  error_set(error, EXIT_USAGE_ERROR, "corpus.source: there is no '%s'", source);
  error_about(error, "corpus.source", NULL);
  return error_hint(
      error, nearest_name(source, corpus_sources, sizeof corpus_sources / sizeof *corpus_sources - 1),
      "; there are gcide, english, linux-core, kjv, zipfmem, markov2, suites, and files (with corpus.files)");
}

static bool check_tokenizer(struct corpus_request *request, const struct run_config *config, struct error *error) {
  const char *tokenizer = config->corpus.tokenizer;
  int64_t vocabulary = config->corpus.vocabulary;
  bool stated = vocabulary != AUTO_INTEGER;
  if (strcmp(tokenizer, "bytes") == 0) {
    request->tokenizer = TOKENIZER_BYTES;
    return !stated || vocabulary == BYTES_VOCABULARY ||
           error_set(error, EXIT_USAGE_ERROR,
                     "corpus.vocabulary is 257 with corpus.tokenizer bytes, not %lld: leave it "
                     "out",
                     (long long)vocabulary) ||
           error_about(error, "corpus.vocabulary", "corpus.tokenizer", NULL);
  }
  if (strcmp(tokenizer, "uint16") == 0 || strcmp(tokenizer, "uint32") == 0) {
    request->tokenizer = TOKENIZER_NUMBERS;
    request->width = strcmp(tokenizer, "uint16") == 0 ? 2 : 4;
    request->vocabulary = vocabulary;
    if (request->kind != CORPUS_FILES)
      return error_set(error, EXIT_USAGE_ERROR, "corpus.tokenizer %s is for corpus.files that hold tokens",
                       tokenizer) ||
             error_about(error, "corpus.tokenizer", "corpus.files", NULL);
    if (!stated)
      return error_set(error, EXIT_USAGE_ERROR, "corpus.tokenizer %s needs corpus.vocabulary: the number of token ids",
                       tokenizer) ||
             error_about(error, "corpus.tokenizer", "corpus.vocabulary", NULL);
    int64_t most = request->width == 2 ? 1 << 16 : INT32_MAX;
    return (vocabulary >= 2 && vocabulary <= most) ||
           error_set(error, EXIT_USAGE_ERROR, "corpus.vocabulary must be from 2 to %lld for %s tokens, not %lld",
                     (long long)most, tokenizer, (long long)vocabulary) ||
           error_about(error, "corpus.vocabulary", NULL);
  }
  if (strcmp(tokenizer, "sentencepiece") == 0) {
    request->tokenizer = TOKENIZER_SENTENCEPIECE;
    request->vocabulary = stated ? vocabulary : DEFAULT_PIECES;
    return (request->vocabulary >= FEWEST_PIECES && request->vocabulary <= MOST_PIECES) ||
           error_set(error, EXIT_USAGE_ERROR,
                     "corpus.vocabulary must be from %d (256 bytes and more) to %d for "
                     "sentencepiece, not %lld",
                     FEWEST_PIECES, MOST_PIECES, (long long)vocabulary) ||
           error_about(error, "corpus.vocabulary", NULL);
  }
  if (ends_with(tokenizer, ".model")) {
    request->tokenizer = TOKENIZER_SENTENCEPIECE;
    request->model_path = tokenizer;
    request->vocabulary = stated ? vocabulary : 0;
    return true;
  }
  error_set(error, EXIT_USAGE_ERROR, "corpus.tokenizer: there is no '%s'", tokenizer);
  error_about(error, "corpus.tokenizer", NULL);
  return error_hint(
      error, nearest_name(tokenizer, corpus_tokenizers, sizeof corpus_tokenizers / sizeof *corpus_tokenizers - 1),
      "; there are bytes, sentencepiece, a path that ends in .model, uint16, uint32");
}

static bool request_mixture(struct corpus_request *request, const struct run_config *config, struct error *error) {
  const char *source = config->corpus.source;
  struct arena arena = {0};
  struct mixture_parts parts;
  struct run_config own;
  request->kind = CORPUS_MIXTURE;
  request->name = config->corpus.mixture;
  if (strcmp(source, "mixture") != 0 && strcmp(source, "gcide") != 0 && strcmp(source, "files") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture and corpus.source %s exclude each other", source) ||
           error_about(error, "corpus.mixture", "corpus.source", NULL);
  if (!mixture_check(config, error)) return false;
  bool fine = mixture_read(config->corpus.mixture, &arena, &parts, error) &&
              mixture_part_config(config, &parts.items[0], &arena, &own, error);
  request->synthetic = fine && (strcmp(own.corpus.source, "zipfmem") == 0 || strcmp(own.corpus.source, "markov2") == 0);
  arena_free(&arena);
  return fine;
}

bool request_of(struct corpus_request *request, const struct run_config *config, struct error *error) {
  *request = (struct corpus_request){.validation_fraction = config->corpus.validation_fraction};
  if (config->corpus.mixture && *config->corpus.mixture) return request_mixture(request, config, error);
  if (!check_source(request, config, error)) return false;
  if (request->kind == CORPUS_NAMED || request->kind == CORPUS_FILES) return check_tokenizer(request, config, error);
  return !(config->corpus.suites_share > 0) ||
         error_set(
             error, EXIT_USAGE_ERROR,
             "corpus.suites_share is a share of a text's training windows: %s is no text (corpus.source suites is "
             "all suites)",
             request->name) ||
         error_about(error, "corpus.suites_share", "corpus.source", NULL);
}

bool corpus_check(const struct run_config *config, enum corpus_kind *kind, struct error *error) {
  struct corpus_request request;
  if (!request_of(&request, config, error)) return false;
  if (kind) *kind = request.kind;
  if (request.kind == CORPUS_ZIPFMEM) return zipfmem_check(config, error);
  if (request.kind == CORPUS_MARKOV2) return markov2_check(config, error);
  if (request.kind == CORPUS_SUITES || config->corpus.suites_share > 0) return suites_check(config, error);
  return true;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

bool request_find_files(struct corpus_request *request, struct arena *arena, struct error *error) {
  size_t count = 0;
  char **files = NULL, *patterns = arena_string(arena, request->patterns), *rest = NULL;
  for (char *pattern = strtok_r(patterns, "\n", &rest); pattern; pattern = strtok_r(NULL, "\n", &rest)) {
    glob_t found;
    int result = glob(pattern, GLOB_BRACE | GLOB_TILDE | GLOB_MARK, NULL, &found);
    if (result != 0) {
      if (result == GLOB_NOMATCH)
        return error_set(error, EXIT_USAGE_ERROR, "corpus.files: nothing matches '%s' (in the current folder)",
                         pattern) ||
               error_about(error, "corpus.files", NULL);
      return error_set_errno(error, EXIT_ENVIRONMENT, "corpus.files: cannot look for '%s'", pattern) ||
             error_about(error, "corpus.files", NULL);
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
      const char *path = found.gl_pathv[i];
      bool folder = ends_with(path, "/");
      if (folder && found.gl_pathc == 1) {
        error_set(error, EXIT_USAGE_ERROR, "corpus.files: %s is a folder; its files are '%s*'", path, path);
        error_about(error, "corpus.files", NULL);
        globfree(&found);
        return false;
      }
      // Masks lie next to the tokens that they belong to; folders among the matches are passed over.
      if (folder || (request->tokenizer == TOKENIZER_NUMBERS && ends_with(path, ".mask"))) continue;
      files = arena_grow(arena, files, count, count + 1, sizeof *files);
      files[count++] = arena_string(arena, path);
    }
    globfree(&found);
  }
  if (count == 0)
    return error_set(error, EXIT_USAGE_ERROR, "corpus.files: no file among what matches") ||
           error_about(error, "corpus.files", NULL);
  qsort(files, count, sizeof *files, by_name);
  size_t kept = 1;
  for (size_t i = 1; i < count; i++)
    if (strcmp(files[i], files[kept - 1]) != 0) files[kept++] = files[i];
  request->files = files;
  request->file_count = kept;
  return true;
}

static bool add_file(struct text *text, const char *path, struct error *error) {
  struct stat status;
  if (stat(path, &status) != 0) return error_set_errno(error, EXIT_USAGE_ERROR, "cannot read %s", path);
  char full[PATH_MAX];
  if (!realpath(path, full)) return error_set_errno(error, EXIT_USAGE_ERROR, "cannot read %s", path);
  text_format(text, "%s %lld %lld.%09ld\n", full, (long long)status.st_size, (long long)status.st_mtim.tv_sec,
              status.st_mtim.tv_nsec);
  return true;
}

bool request_key(const struct corpus_request *request, struct arena *arena, char key[40], struct error *error) {
  struct text text = {0};
  bool fine = true;
  char fraction[32];
  number_shortest(request->validation_fraction, fraction);
  text_format(&text, "corpus request %d\n%s\n%d %lld %d %s\n", request->kind == CORPUS_FILES ? 2 : 1, request->name,
              (int)request->tokenizer, (long long)request->vocabulary, request->width, fraction);
  if (request->model_path) fine = add_file(&text, request->model_path, error);
  if (!fine) {
    error_context(error, "corpus.tokenizer");
    error_about(error, "corpus.tokenizer", NULL);
  }
  for (size_t i = 0; fine && i < request->file_count; i++) {
    fine = add_file(&text, request->files[i], error);
    const char *mask = arena_format(arena, "%s.mask", request->files[i]);
    if (fine && request->tokenizer == TOKENIZER_NUMBERS && file_exists(mask)) fine = add_file(&text, mask, error);
  }
  if (!fine) error_about(error, "corpus.files", NULL);
  struct digest digest = digest_string(text_string(&text));
  snprintf(key, 40, "%s", digest.hex);
  text_free(&text);
  return fine;
}
