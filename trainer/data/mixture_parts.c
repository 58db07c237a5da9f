// What corpus.mixture says: its parts, their shares, and what each asks for alone. See mixture.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/mixture.h"
#include "trainer/data/request.h"

static bool refuse(struct error *error) { return error_about(error, "corpus.mixture", NULL); }

// One part, trimmed: "0.7 gcide", "markov2:3".
static bool read_part(char *text, struct arena *arena, struct mixture_part *part, struct error *error) {
  char *end;
  const double weight = strtod(text, &end);
  *part = (struct mixture_part){.seed = AUTO_INTEGER, .weight = 1};
  if (end != text && (*end == ' ' || *end == '\t')) {
    part->weight = weight;
    text = end + strspn(end, " \t");
  }
  if (!*text || !(part->weight > 0) || !isfinite(part->weight))
    return error_set(error, EXIT_USAGE_ERROR,
                     "corpus.mixture: '%s' is no part of a mixture: 0.7 gcide + 0.3 kjv is one of two", text) ||
           refuse(error);
  part->name = part->source = text;
  const char *colon = strrchr(text, ':');
  if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1)) return true;
  part->seed = strtoll(colon + 1, NULL, 10);
  part->source = arena_copy(arena, text, (size_t)(colon - text));
  return true;
}

static char *trim(char *text) {
  text += strspn(text, " \t\n");
  size_t length = strlen(text);
  while (length && strchr(" \t\n", text[length - 1])) text[--length] = '\0';
  return text;
}

// Largest remainders; ties go to the earlier part.
static bool take_shares(struct mixture_parts *parts, struct error *error) {
  double sum = 0, rest[CORPUS_MOST_PARTS];
  int left = MIXTURE_BLOCK;
  for (int i = 0; i < parts->count; i++) sum += parts->items[i].weight;
  for (int i = 0; i < parts->count; i++) {
    double exact = MIXTURE_BLOCK * parts->items[i].weight / sum;
    parts->items[i].share = (int)floor(exact + 1e-9);
    rest[i] = exact - parts->items[i].share;
    left -= parts->items[i].share;
  }
  for (; left > 0; left--) {
    int most = 0;
    for (int i = 1; i < parts->count; i++)
      if (rest[i] > rest[most] + 1e-9) most = i;
    parts->items[most].share++;
    rest[most] -= 1;
  }
  for (int i = 0; i < parts->count; i++)
    if (parts->items[i].share < 1)
      return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture: the share of %s is less than a thousandth",
                       parts->items[i].name) ||
             refuse(error);
  return true;
}

bool mixture_read(const char *text, struct arena *arena, struct mixture_parts *parts, struct error *error) {
  char *rest = arena_string(arena, text);
  *parts = (struct mixture_parts){0};
  for (char *part = rest; rest; part = rest) {
    char *plus = strstr(part, " + ");
    rest = plus ? plus + 3 : NULL;
    if (plus) *plus = '\0';
    if (parts->count == CORPUS_MOST_PARTS)
      return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture has more than %d parts", CORPUS_MOST_PARTS) ||
             refuse(error);
    struct mixture_part *item = &parts->items[parts->count++];
    if (!read_part(trim(part), arena, item, error)) return false;
    for (int i = 0; i + 1 < parts->count; i++)
      if (strcmp(parts->items[i].name, item->name) == 0)
        return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture names %s twice", item->name) || refuse(error);
  }
  return take_shares(parts, error);
}

void corpus_mixture_shares(const struct run_config *config, struct text *out) {
  struct arena arena = {0};
  struct mixture_parts parts;
  struct error ignored = {0};
  if (mixture_read(config->corpus.mixture, &arena, &parts, &ignored))
    for (int i = 0; i < parts.count; i++)
      text_format(out, "%s%s %.4g %%", i ? ", " : "", parts.items[i].name,
                  100.0 * parts.items[i].share / MIXTURE_BLOCK);
  arena_free(&arena);
}

// The lines of corpus.files that the part means, joined as they were; NULL: none.
static const char *files_of(const char *files, const char *name, struct arena *arena) {
  struct text found = {0};
  char *rest = NULL, *lines = arena_string(arena, files);
  for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    const char *slash = strrchr(line, '/');
    if (strcmp(name, "files") == 0 || strcmp(line, name) == 0 || (slash && strcmp(slash + 1, name) == 0))
      text_format(&found, "%s%s", found.length ? "\n" : "", line);
  }
  const char *text = found.length ? arena_string(arena, text_string(&found)) : NULL;
  text_free(&found);
  return text;
}

static bool is_synthetic(const char *source) {
  return strcmp(source, "zipfmem") == 0 || strcmp(source, "markov2") == 0;
}

bool mixture_part_config(const struct run_config *config, const struct mixture_part *part, struct arena *arena,
                         struct run_config *own, struct error *error) {
  *own = *config;
  own->corpus.mixture = own->corpus.files = "";
  own->corpus.suites_share = 0;
  own->corpus.source = part->source;
  if (is_synthetic(part->source)) {
    if (part->seed != AUTO_INTEGER) own->corpus.seed = part->seed;
    return true;
  }
  for (const char *const *name = corpus_names; *name; name++)
    if (strcmp(part->name, *name) == 0) return true;
  own->corpus.source = "files";
  own->corpus.files = files_of(config->corpus.files, part->name, arena);
  if (own->corpus.files) return true;
  error_set(error, EXIT_USAGE_ERROR, "corpus.mixture: '%s' is neither a source nor one of corpus.files", part->name);
  refuse(error);
  return error_hint(error, nearest_name(part->name, corpus_sources, CORPUS_SOURCE_COUNT),
                    "; sources are gcide, english, linux-core, kjv, markov2:SEED and zipfmem:SEED");
}

// What no part takes of corpus.files, or several do.
static bool check_files(const struct run_config *config, const struct mixture_parts *parts, struct arena *arena,
                        struct error *error) {
  char *rest = NULL, *lines = arena_string(arena, config->corpus.files);
  for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    int users = 0;
    for (int i = 0; i < parts->count; i++) users += files_of(line, parts->items[i].name, arena) != NULL;
    if (users == 1) continue;
    return error_set(error, EXIT_USAGE_ERROR, "corpus.mixture: %s of corpus.files is in %s part", line,
                     users ? "more than one" : "no") ||
           error_about(error, "corpus.mixture", "corpus.files", NULL);
  }
  return true;
}

static bool check_tokenizer(const struct run_config *config, struct error *error) {
  return strcmp(config->corpus.tokenizer, "sentencepiece") != 0 ||
         error_set(error, EXIT_USAGE_ERROR,
                   "corpus.mixture: each source would have a vocabulary of its own: give corpus.tokenizer bytes or "
                   "the .model file of one that is trained (isoloss data prepare)") ||
         error_about(error, "corpus.tokenizer", "corpus.mixture", NULL);
}

bool mixture_check(const struct run_config *config, struct error *error) {
  struct arena arena = {0};
  struct mixture_parts parts;
  bool fine = mixture_read(config->corpus.mixture, &arena, &parts, error);
  int synthetic = 0;
  for (int i = 0; i < parts.count && fine; i++) {
    struct run_config own;
    fine = mixture_part_config(config, &parts.items[i], &arena, &own, error) &&
           (corpus_check(&own, NULL, error) || error_context(error, "corpus.mixture: %s", parts.items[i].name));
    if (fine) synthetic += is_synthetic(parts.items[i].source);
  }
  if (fine && synthetic && synthetic < parts.count)
    fine = error_set(error, EXIT_USAGE_ERROR, "corpus.mixture has text and synthetic sources: their tokens differ") ||
           refuse(error);
  if (fine && synthetic && config->corpus.suites_share > 0)
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "corpus.suites_share is a share of a text's training windows: this mixture is no text") ||
           error_about(error, "corpus.suites_share", "corpus.mixture", NULL);
  fine = fine && (synthetic || check_tokenizer(config, error)) && check_files(config, &parts, &arena, error);
  arena_free(&arena);
  return fine;
}
