// See validation.h.
#include "runner/plan/validation.h"

#include <math.h>
#include <string.h>

#include "trainer/data/corpus.h"

enum { FEW_DOCUMENTS = 20, FEW_TOKENS = 20000 };

static const char *documents_words(int64_t documents, struct arena *arena) {
  char number[32];
  return arena_format(arena, "%s document%s", number_human((double)documents, number), documents == 1 ? "" : "s");
}

const char *validation_words(int64_t documents, int64_t tokens, struct arena *arena) {
  char number[32];
  const char *count = arena_format(arena, "%s tokens", number_human((double)tokens, number));
  return documents < 0 ? count : arena_format(arena, "%s, %s", documents_words(documents, arena), count);
}

const char *validation_doubt(int64_t documents, int64_t tokens, struct arena *arena) {
  bool few = documents >= 0 && documents < FEW_DOCUMENTS;
  char number[32];
  const char *remedy = "; more text or a larger corpus.validation_fraction helps";
  if (few)
    return arena_format(arena,
                        "losses are those of %s, not of the text: what these have in common with the training text, by "
                        "chance, is in every loss, and in bits per byte%s",
                        documents_words(documents, arena), remedy);
  if (tokens < FEW_TOKENS)
    return arena_format(
        arena,
        "losses are means over %s tokens, off the text's by about %.2g nats (1.5 nats a token, a guess, over "
        "the root of their number), of which differences between runs carry a part%s",
        number_human((double)tokens, number), 1.5 / sqrt((double)tokens), remedy);
  return NULL;
}

static bool told_before(const struct plan *plan, size_t index) {
  for (size_t i = 0; i < index; i++)
    if (plan->corpora[i].facts.known && strcmp(plan->corpora[i].facts.digest, plan->corpora[index].facts.digest) == 0)
      return true;
  return false;
}

// What the windows of a mixture are of.
static void print_shares(const struct run_config *config, const struct corpus_facts *facts, FILE *out) {
  struct text shares = {0};
  corpus_mixture_shares(config, &shares);
  fprintf(out, "mixture (%.8s): %s\n", facts->digest, text_string(&shares));
  text_free(&shares);
}

void plan_print_validation(const struct plan *plan, bool doubts_only, FILE *out) {
  struct arena arena = {0};
  for (size_t i = 0; i < plan->corpus_count; i++) {
    const struct plan_corpus *corpus = &plan->corpora[i];
    const struct corpus_facts *facts = &corpus->facts;
    if (!facts->known || corpus->refused || told_before(plan, i)) continue;
    const struct run_config *config = &corpus->config;
    const char *source = *config->corpus.mixture ? "mixture" : *config->corpus.files ? "files" : config->corpus.source;
    const char *doubt = validation_doubt(facts->validation_documents, facts->validation_tokens, &arena);
    if (!doubts_only)
      fprintf(out, "validation (%s, %.8s): %s\n", source, facts->digest,
              validation_words(facts->validation_documents, facts->validation_tokens, &arena));
    if (!doubts_only && *config->corpus.mixture) print_shares(config, facts, out);
    if (doubt) fprintf(out, "warning: validation (%s, %.8s): %s\n", source, facts->digest, doubt);
  }
  arena_free(&arena);
}
