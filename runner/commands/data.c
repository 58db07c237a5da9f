// isoloss data: prepares corpora, lists what the cache holds, shows what a corpus is made of.
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/plan/plan.h"
#include "runner/terminal/progress.h"
#include "runner/terminal/table.h"
#include "trainer/data/cache.h"

struct data_options {
  const char *source, *tokenizer;
  int64_t vocabulary;
  double validation_fraction;
  struct option_list files, set;
  int64_t lines;
  const char *preset;
  bool json, refresh, verify;
};

static bool set_field(struct run_config *config, const char *path, const char *text, struct arena *arena,
                      struct error *error) {
  const char *near = NULL;
  const struct run_field *field = field_find(path, &near);
  if (!field) {
    error_set(error, EXIT_USAGE_ERROR, "data: there is no field '%s'", path);
    return error_hint(error, near, NULL);
  }
  return config_set(config, field, text, arena, error) || error_context(error, "data: %s", path);
}

// The corpus fields that the options give.
static bool configure(const struct data_options *given, struct run_config *config, struct arena *arena,
                      struct error *error) {
  config_default(config);
  if (given->source && !set_field(config, "corpus.source", given->source, arena, error)) return false;
  if (given->tokenizer && !set_field(config, "corpus.tokenizer", given->tokenizer, arena, error)) return false;
  if (given->vocabulary != AUTO_INTEGER &&
      !set_field(config, "corpus.vocabulary", arena_format(arena, "%lld", (long long)given->vocabulary), arena, error))
    return false;
  if (!isnan(given->validation_fraction) &&
      !set_field(config, "corpus.validation_fraction", arena_format(arena, "%.17g", given->validation_fraction), arena,
                 error))
    return false;
  struct text files = {0};
  for (size_t i = 0; i < given->files.count; i++) text_format(&files, "%s%s", i ? "\n" : "", given->files.items[i]);
  bool fine = files.length == 0 || set_field(config, "corpus.files", text_string(&files), arena, error);
  text_free(&files);
  for (size_t i = 0; fine && i < given->set.count; i++) {
    const char *equals = strchr(given->set.items[i], '=');
    if (!equals)
      return error_set(error, EXIT_USAGE_ERROR, "data: --set needs PATH=VALUE, not '%s'", given->set.items[i]);
    const char *path = arena_copy(arena, given->set.items[i], (size_t)(equals - given->set.items[i]));
    fine = set_field(config, path, equals + 1, arena, error);
  }
  return fine;
}

// ---- prepare ----

struct display {
  bool terminal;
  char what[200];  // shown last
};

static void show_progress(void *context, const char *what, double share) {
  struct display *display = context;
  if (display->terminal) {
    if (share >= 0)
      fprintf(stderr, "\r\033[K%3.0f%%  %s", 100 * share, what);
    else
      fprintf(stderr, "\r\033[K      %s", what);
  } else if (strcmp(display->what, what) != 0) {
    fprintf(stderr, "%s\n", what);
  }
  snprintf(display->what, sizeof display->what, "%s", what);
}

static bool prepare_one(const struct data_options *given, const struct run_config *config, struct json_writer *json,
                        struct arena *arena, struct error *error) {
  struct display display = {.terminal = isatty(fileno(stderr))};
  struct corpus_location before, location;
  if (!corpus_find(config, arena, &before, error)) return false;
  double start = clock_seconds();
  bool fine = corpus_prepare(config, given->refresh, show_progress, &display, arena, &location, error);
  if (display.terminal && *display.what) fprintf(stderr, "\r\033[K");
  if (!fine) return false;
  double seconds = clock_seconds() - start;
  struct corpus *corpus = corpus_open(location.path, location.digest, config, error);
  if (!corpus) return false;
  struct corpus_facts facts = corpus_facts(corpus, corpus_nearest_context(corpus, config->model.context));
  bool endless = facts.train_tokens == INT64_MAX;
  if (json) {
    json_object_begin(json);
    json_key_string(json, "digest", location.digest);
    json_key_string(json, "path", location.path);
    json_key_boolean(json, "built", given->refresh || !before.prepared);
    json_key_number(json, "seconds", seconds);
    json_key_integer(json, "vocabulary", facts.vocabulary);
    json_key(json, "train_tokens");
    if (endless)
      json_put_null(json);
    else
      json_put_integer(json, facts.train_tokens);
    json_key_integer(json, "validation_tokens", facts.validation_tokens);
    json_key_number(json, "bytes_per_token", facts.bytes_per_token);
    json_key_number(json, "targets_per_token", facts.targets_per_token);
    json_key_number(json, "irreducible_loss", facts.irreducible_loss);
    json_object_end(json);
  } else {
    char train[32], validation[32], took[32];
    printf("%s  %s training tokens, %s for validation, vocabulary %lld", location.digest,
           endless ? "endless" : number_human((double)facts.train_tokens, train),
           number_human((double)facts.validation_tokens, validation), (long long)facts.vocabulary);
    if (!isnan(facts.bytes_per_token)) printf(", %.3g bytes a token", facts.bytes_per_token);
    if (!isnan(facts.irreducible_loss)) printf(", irreducible loss %.6g", facts.irreducible_loss);
    if (*location.path)
      printf("\n%s (%s)", location.path,
             before.prepared && !given->refresh ? "was there" : seconds_human(seconds, took));
    printf("\n");
  }
  corpus_close(corpus);
  return true;
}

static bool prepare_spec(const struct data_options *given, const char *path, struct json_writer *json,
                         struct arena *arena, struct error *error) {
  struct spec spec = {0};
  struct plan plan = {0};
  struct diagnostics diagnostics = {0};
  struct plan_options unprepared = {.prepare = false};
  bool fine = spec_open(&spec, path, &(struct spec_choices){given->set, given->preset}, error);
  bool planned = fine;
  fine = fine && plan_make(&plan, &spec, &unprepared, &diagnostics, error);
  diagnostics_tell(&diagnostics, error);
  for (size_t i = 0; fine && i < plan.corpus_count; i++)
    if (!plan.corpora[i].refused && !plan.corpora[i].unused)
      fine = prepare_one(given, &plan.corpora[i].config, json, arena, error);
  if (planned) plan_free(&plan);
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  return fine;
}

static bool prepare(const struct data_options *given, const char *spec_path, struct arena *arena, struct error *error) {
  if (given->preset && !spec_path)
    return error_set(error, EXIT_USAGE_ERROR, "data: --preset is of a spec: isoloss data prepare SPEC --preset %s",
                     given->preset);
  struct text out = {0};
  struct json_writer json = json_writer(&out, true);
  struct json_writer *writer = given->json ? &json : NULL;
  if (writer) json_array_begin(writer);
  bool fine;
  if (spec_path) {
    fine = prepare_spec(given, spec_path, writer, arena, error);
  } else {
    struct run_config config;
    fine = configure(given, &config, arena, error) && prepare_one(given, &config, writer, arena, error);
  }
  if (writer && fine) {
    json_array_end(writer);
    printf("%s\n", text_string(&out));
  }
  text_free(&out);
  return fine;
}

// ---- list ----

static void list_json(const struct corpus_entry *entries, size_t count) {
  struct text out = {0};
  struct json_writer json = json_writer(&out, true);
  json_array_begin(&json);
  for (size_t i = 0; i < count; i++) {
    const struct corpus_entry *entry = &entries[i];
    json_object_begin(&json);
    json_key_string(&json, "digest", entry->digest);
    json_key_string(&json, "source", entry->source);
    json_key_string(&json, "tokenizer", entry->tokenizer);
    json_key_integer(&json, "vocabulary", entry->vocabulary);
    json_key_integer(&json, "train_tokens", entry->train_tokens);
    json_key_integer(&json, "validation_tokens", entry->validation_tokens);
    json_key_integer(&json, "documents", entry->documents);
    json_key_integer(&json, "text_bytes", entry->text_bytes);
    json_key_number(&json, "size", entry->size);
    json_key_string(&json, "prepared", entry->prepared);
    json_key_string(&json, "path", entry->path);
    json_object_end(&json);
  }
  json_array_end(&json);
  printf("%s\n", text_string(&out));
  text_free(&out);
}

// The bytes of all of them.
static double list_table(const struct corpus_entry *entries, size_t count) {
  double total = 0;
  static const struct text_column columns[] = {{"digest"},
                                               {"source"},
                                               {"tokenizer"},
                                               {"vocabulary", .right = true},
                                               {"train", .right = true},
                                               {"valid.", .right = true},
                                               {"size", .right = true},
                                               {"prepared"},
                                               {0}};
  struct text_table table = {.gap = 2};
  text_table_columns(&table, columns);
  for (size_t i = 0; i < count; i++) {
    const struct corpus_entry *entry = &entries[i];
    char train[32], validation[32], size[32];
    text_table_cell(&table, "%s", entry->digest);
    text_table_cell(&table, "%s", entry->source);
    text_table_cell(&table, "%s", entry->tokenizer);
    text_table_cell(&table, "%lld", (long long)entry->vocabulary);
    text_table_cell(&table, "%s", number_human((double)entry->train_tokens, train));
    text_table_cell(&table, "%s", number_human((double)entry->validation_tokens, validation));
    text_table_cell(&table, "%s", bytes_human(entry->size, size));
    text_table_cell(&table, "%s", entry->prepared ? entry->prepared : "-");
    total += entry->size;
  }
  if (count) text_table_print(&table, stdout);
  text_table_free(&table);
  return total;
}

static bool list(const struct data_options *given, struct arena *arena, struct error *error) {
  struct corpus_entry *entries;
  size_t count = corpus_cache_list(arena, &entries);
  if (given->json) {
    list_json(entries, count);
    return true;
  }
  double total = list_table(entries, count);
  char corpora[32], rest[32];
  const char *cache = isoloss_cache(arena);
  printf("%s%zu corpora, %s; packages, texts and tokenizers: %s (%s)\n", count ? "\n" : "", count,
         bytes_human(total, corpora),
         bytes_human(corpus_folder_size(path_join(arena, cache, "packages")) +
                         corpus_folder_size(path_join(arena, cache, "sources")) +
                         corpus_folder_size(path_join(arena, cache, "tokenizers")),
                     rest),
         cache);
  return true;
}

// ---- show ----

// What is prepared under the name of a source, when nothing else is said of the corpus: several are listed (true), the
// only one is `only`'s path; NULL where there is none.
static bool listed_by_name(const struct data_options *given, const char *name, struct arena *arena, const char **only) {
  struct corpus_entry *entries;
  size_t all = corpus_cache_list(arena, &entries), count = 0;
  *only = NULL;
  if (!name || given->source || given->tokenizer || given->files.count || given->set.count ||
      given->vocabulary != AUTO_INTEGER || !isnan(given->validation_fraction))
    return false;
  for (size_t i = 0; i < all; i++)
    if (strcmp(entries[i].source, name) == 0) entries[count++] = entries[i];
  if (count == 1) *only = entries[0].path;
  if (count < 2) return false;
  if (given->json) {
    list_json(entries, count);
    return true;
  }
  list_table(entries, count);
  printf("\n%zu corpora are prepared under %s: isoloss data show %.8s (the beginning of a digest) shows one\n", count,
         name, entries[0].digest);
  return true;
}

static bool show(const struct data_options *given, const char *which, struct arena *arena, struct error *error) {
  struct run_config config;
  struct corpus_location location = {0};
  struct corpus *corpus = NULL;
  if (!configure(given, &config, arena, error)) return false;
  const char *folder = which ? corpus_cache_find(arena, which, error) : NULL;
  if (error->code) return error_context(error, "data");
  if (!folder && listed_by_name(given, which, arena, &folder)) return true;
  if (folder) {
    location.path = (char *)folder;
    corpus = corpus_open(folder, NULL, NULL, error);
  } else {
    if (which && !set_field(&config, "corpus.source", which, arena, error)) return false;
    if (!corpus_find(&config, arena, &location, error)) return false;
    if (!location.prepared)
      return error_set(error, EXIT_USAGE_ERROR,
                       "data: corpus %s is not prepared with these options (isoloss data list shows what is there, "
                       "isoloss data prepare makes it)",
                       config.corpus.source);
    corpus = corpus_open(location.path, location.digest, &config, error);
  }
  if (!corpus) return false;
  struct text sample = {0};
  bool fine = (!given->verify || corpus_verify(corpus, error)) && corpus_sample(corpus, given->lines, &sample, error);
  if (fine && given->json) {
    struct text out = {0};
    struct json_writer json = json_writer(&out, true);
    json_object_begin(&json);
    json_key_string(&json, "digest", corpus_digest(corpus));
    json_key_string(&json, "path", location.path);
    json_key(&json, "verified");
    if (given->verify)
      json_put_boolean(&json, true);
    else
      json_put_null(&json);
    json_key(&json, "manifest");
    json_put_raw(&json, corpus_manifest(corpus));
    json_key_string(&json, "sample", text_string(&sample));
    json_object_end(&json);
    printf("%s\n", text_string(&out));
    text_free(&out);
  } else if (fine) {
    printf("%s\n", corpus_manifest(corpus));
    if (*location.path) printf("%s%s\n", location.path, given->verify ? " (verified)" : "");
    printf("\n%s\n", text_string(&sample));
  }
  text_free(&sample);
  corpus_close(corpus);
  return fine;
}

static void no_action(const char *action, const char *nearest, struct error *error) {
  if (*action)
    error_set(error, EXIT_USAGE_ERROR, "data: there is no action '%s'", action);
  else
    error_set(error, EXIT_USAGE_ERROR, "data: which action?");
  error_hint(error, nearest, NULL);
  error_add(error, " (prepare, list or show; isoloss data --help)");
}

static void act(const struct data_options *given, const struct command_line *line, struct arena *arena,
                struct error *error) {
  static const char *const actions[] = {"prepare", "list", "show"};
  const char *action = line->count > 0 ? line->arguments[0] : "";
  const char *argument = line->count > 1 ? line->arguments[1] : NULL;
  if (line->count > 2)
    error_set(error, EXIT_USAGE_ERROR, "data %s: '%s' is one argument too many", action, line->arguments[2]);
  else if (strcmp(action, "prepare") == 0)
    prepare(given, argument, arena, error);
  else if (strcmp(action, "list") == 0)
    list(given, arena, error);
  else if (strcmp(action, "show") == 0)
    show(given, argument, arena, error);
  else
    no_action(action, nearest_name(action, actions, 3), error);
}

void command_data(struct command_line *line) {
  struct data_options given = {.vocabulary = AUTO_INTEGER, .validation_fraction = (double)NAN, .lines = 10};
  const struct option options[] = {
      {"source", 's', OPTION_TEXT, &given.source, "NAME", "gcide, english, linux-core, kjv, zipfmem, markov2 or suites",
       corpus_sources},
      {"files", 'f', OPTION_LIST, &given.files, "GLOB", "own text (or tokens) instead; may be given several times"},
      {"tokenizer", 't', OPTION_TEXT, &given.tokenizer, "NAME", "bytes, sentencepiece, FILE.model, uint16, uint32",
       corpus_tokenizers},
      {"vocabulary", 'v', OPTION_INTEGER, &given.vocabulary, "N", "pieces to train, or token ids of files of tokens"},
      {"validation-fraction", 0, OPTION_NUMBER, &given.validation_fraction, "X", "share of documents kept apart"},
      {"set", 0, OPTION_LIST, &given.set, "PATH=VALUE", "any other corpus field (corpus.zipfmem_ids=4096)"},
      {"preset", 0, OPTION_TEXT, &given.preset, "NAME", "prepare SPEC: with what this preset of the spec changes"},
      {"refresh", 0, OPTION_FLAG, &given.refresh, NULL, "prepare: build anew, with the newest packages"},
      {"verify", 0, OPTION_FLAG, &given.verify, NULL, "show: read every byte and compare the checksums"},
      {"lines", 'n', OPTION_INTEGER, &given.lines, "N", "show: lines of text (10)"},
      {"json", 0, OPTION_FLAG, &given.json, NULL, "one JSON document on standard output"},
      {0}};
  const struct command_usage usage = {
      "isoloss data prepare|list|show [SPEC|DIGEST|NAME] [options]",
      "  prepare [SPEC]        builds the corpora of a spec, or the one that the options describe\n"
      "  list                  what the cache holds\n"
      "  show [DIGEST|NAME]    what a corpus is made of, and how its validation text begins; a table when several are\n"
      "                        prepared under the name\n\n"
      "Corpora are kept in $XDG_CACHE_HOME/isoloss (~/.cache/isoloss) and built on first use: plan and run do the same\n"
      "as prepare. Removing a folder there is safe; it is built again when it is needed.",
      0, INT_MAX, "an action and at most one argument for it"};
  if (command_begin(line, &usage, options)) act(&given, line, &line->arena, &line->error);
}
