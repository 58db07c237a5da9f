// zipfmem: a memory task whose loss falls as a power law in both model size and data, with an irreducible loss in
// closed form. Fact k has probability proportional to (k + 1)^-(1 + a); it is shown as the base-V digits of a scrambled
// id, and its answer is f(k) with probability 1 - eps, else one of the other V - 1 symbols. Only the answer counts:
//
//   E = -(1 - eps) ln(1 - eps) - eps ln(eps / (V - 1))
//
// A table learner that has seen D facts has excess loss ~ D^-(a / (1 + a)); a memory of N facts leaves ~ N^-a.
// A window is one record: the digits are the inputs, the targets are the later digits (masked) and the answer.
#include <math.h>
#include <stdlib.h>

#include "trainer/data/permutation.h"
#include "trainer/data/source.h"
#include "trainer/data/zipf.h"

// Fresh validation records without end exist; this many tokens are offered.
static const int64_t validation_tokens = 1 << 22;

struct zipfmem {
  struct zipf zipf;
  struct permutation scramble;  // of [0, symbols^digits)
  int64_t symbols, digits;
  double epsilon, entropy;
  uint64_t seed, answer_key;
};

static int64_t digits_of(const struct run_config *config) {
  int64_t digits = 1;
  for (int64_t reach = config->corpus.zipfmem_symbols; reach < config->corpus.zipfmem_ids; digits++)
    reach *= config->corpus.zipfmem_symbols;
  return digits;
}

static void zipfmem_close(struct corpus *corpus) {
  struct zipfmem *source = corpus->state;
  zipf_free(&source->zipf);
  free(source);
}

static bool digits_fit(int64_t context, int64_t ids, int64_t symbols, int64_t digits, struct error *error) {
  if (context == digits) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "model.context must be %lld for this zipfmem source, not %lld: a window is one record, and one of "
                   "%lld ids is written in %lld digits of %lld symbols",
                   (long long)digits, (long long)context, (long long)ids, (long long)digits, (long long)symbols) ||
         error_about(error, "model.context", NULL);
}

bool zipfmem_check(const struct run_config *config, struct error *error) {
  return digits_fit(config->model.context, config->corpus.zipfmem_ids, config->corpus.zipfmem_symbols,
                    digits_of(config), error);
}

static bool zipfmem_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  const struct zipfmem *source = corpus->state;
  return digits_fit(context, source->zipf.count, source->symbols, source->digits, error);
}

// The right answer to fact k.
static int64_t answer(const struct zipfmem *source, int64_t fact) {
  uint64_t word = mix64(mix64((uint64_t)fact ^ source->answer_key) + source->answer_key);
  return (int64_t)((unsigned __int128)word * (uint64_t)source->symbols >> 64);
}

struct record {
  int64_t fact, answer;
  bool right;
};

static struct record draw(const struct zipfmem *source, uint64_t seed, enum random_stream stream, int64_t step,
                          int64_t row) {
  uint32_t words[4];
  random_words(seed, stream, (uint64_t)step, (uint64_t)row, words);
  double which = (double)(((uint64_t)words[0] << 32 | words[1]) >> 11) * 0x1p-53;
  double luck = (double)(((uint64_t)words[2] << 32 | words[3]) >> 11) * 0x1p-53;
  struct record record = {.fact = zipf_rank(&source->zipf, which)};
  int64_t right = answer(source, record.fact);
  record.right = luck >= source->epsilon;
  record.answer = right;
  if (!record.right) {
    // Given luck < eps, luck / eps is uniform again: it chooses among the others.
    int64_t other = (int64_t)(luck / source->epsilon * (double)(source->symbols - 1));
    if (other > source->symbols - 2) other = source->symbols - 2;
    record.answer = other >= right ? other + 1 : other;
  }
  return record;
}

static void write_record(const struct zipfmem *source, const struct record *record, int32_t *inputs, int32_t *targets,
                         uint8_t *mask) {
  uint64_t id = permute(&source->scramble, (uint64_t)record->fact);
  for (int64_t i = source->digits - 1; i >= 0; i--) {
    inputs[i] = (int32_t)(id % (uint64_t)source->symbols);
    id /= (uint64_t)source->symbols;
    targets[i] = i == source->digits - 1 ? (int32_t)record->answer : inputs[i + 1];
    if (mask) mask[i] = i == source->digits - 1;
  }
}

static bool zipfmem_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                          int32_t *targets, uint8_t *mask, struct error *error) {
  const struct zipfmem *source = corpus->state;
  for (int64_t i = 0; i < request->rows; i++) {
    struct record record = draw(source, request->seed, RANDOM_STREAM_SYNTHETIC, request->step, request->first_row + i);
    int64_t at = i * source->digits;
    write_record(source, &record, inputs + at, targets + at, mask ? mask + at : NULL);
  }
  return true;
}

static int64_t zipfmem_validation_windows(const struct corpus *corpus, int64_t context) {
  return validation_tokens / context;
}

static bool zipfmem_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                               int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  const struct zipfmem *source = corpus->state;
  for (int64_t i = 0; i < windows; i++) {
    struct record record = draw(source, source->seed, RANDOM_STREAM_VALIDATION, 0, first_window + i);
    int64_t at = i * source->digits;
    write_record(source, &record, inputs + at, targets + at, mask ? mask + at : NULL);
  }
  return true;
}

static void zipfmem_oracle(const struct corpus *corpus, int64_t window, int64_t context, double *sum, double *squares,
                           int64_t *targets) {
  const struct zipfmem *source = corpus->state;
  struct record record = draw(source, source->seed, RANDOM_STREAM_VALIDATION, 0, window);
  double loss = record.right ? -log1p(-source->epsilon) : -log(source->epsilon / (double)(source->symbols - 1));
  *sum += loss;
  *squares += loss * loss;
  *targets += 1;
}

static void zipfmem_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct zipfmem *source = corpus->state;
  facts->irreducible_loss = source->entropy;
  facts->targets_per_token = 1.0 / (double)source->digits;
}

static bool zipfmem_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                           struct error *error) {
  return decode_numbers(tokens, count, out);
}

static const struct corpus_ops zipfmem_ops = {.close = zipfmem_close,
                                              .check_context = zipfmem_check_context,
                                              .validation_windows = zipfmem_validation_windows,
                                              .batch = zipfmem_batch,
                                              .validation = zipfmem_validation,
                                              .facts = zipfmem_facts,
                                              .decode = zipfmem_decode,
                                              .oracle = zipfmem_oracle};

bool zipfmem_open(struct corpus *corpus, const struct run_config *config, struct error *error) {
  struct zipfmem *source = memory_get(sizeof *source);
  corpus->ops = &zipfmem_ops;
  corpus->state = source;
  source->symbols = config->corpus.zipfmem_symbols;
  source->digits = digits_of(config);
  source->epsilon = config->corpus.zipfmem_epsilon;
  source->seed = (uint64_t)config->corpus.seed;
  source->zipf = zipf_new(config->corpus.zipfmem_ids, 1 + config->corpus.zipfmem_exponent);
  uint64_t shown = 1;
  for (int64_t i = 0; i < source->digits; i++) shown *= (uint64_t)source->symbols;
  source->scramble = permutation(hash64("zipfmem ids", 11, source->seed), shown);
  source->answer_key = hash64("zipfmem answers", 15, source->seed);
  double eps = source->epsilon;
  source->entropy = eps > 0 ? -(1 - eps) * log1p(-eps) - eps * log(eps / (double)(source->symbols - 1)) : 0;
  corpus->vocabulary = source->symbols;
  corpus->has_mask = true;
  struct json_writer json = json_writer(&corpus->manifest, true);
  json_object_begin(&json);
  json_key_string(&json, "corpus", "zipfmem");
  json_key_integer(&json, "version", 1);
  json_key_integer(&json, "ids", config->corpus.zipfmem_ids);
  json_key_integer(&json, "symbols", source->symbols);
  json_key_integer(&json, "digits", source->digits);
  json_key_number(&json, "exponent", config->corpus.zipfmem_exponent);
  json_key_number(&json, "epsilon", eps);
  json_key_integer(&json, "seed", config->corpus.seed);
  // The loss below is left out of the digest: its last bits depend on the mathematics library.
  synthetic_digest(corpus);
  json_key_number(&json, "irreducible_loss", source->entropy);
  json_object_end(&json);
  return true;
}
