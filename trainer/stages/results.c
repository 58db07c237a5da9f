// See results.h.
#include "trainer/stages/results.h"

#include <string.h>

#define EVALUATE(name, unit, help)                      \
  {                                                     \
    "evaluate", { "evaluate." name, unit, help, false } \
  }

#define HOGWILD(name, unit, help)                     \
  {                                                   \
    "hogwild", { "hogwild." name, unit, help, false } \
  }

#define HOGWILD_MEASURED(name, unit, help)           \
  {                                                  \
    "hogwild", { "hogwild." name, unit, help, true } \
  }

const struct stage_result stage_results[] = {
    EVALUATE(
        "cache_bits", "bits",
        "with a kv_cache: stored bits a value of the keys and values that are stored in few, scales included, mean "
        "over layers"),
    EVALUATE("cache_held_bits", "bits", "the same of all tokens of a whole window, 16 for those that stay as they are"),
    EVALUATE("cache_error", "", "squared error of what is read back over the squares, of all that is stored"),
    EVALUATE("cache_equivalent_bits", "bits", "-log4 of cache_error: bits of an ideal code of Gaussian values with it"),
    EVALUATE(
        "cache_bits_saved", "bits",
        "of aqua: 1/2 log2 of the error of the same code without prediction over the error, mean over layers but the "
        "first"),
    EVALUATE("cache_bits_explained", "bits",
             "of aqua: 1/2 log2 of the squares over what the prediction leaves of them, mean over the same"),
    EVALUATE(
        "cache_rule", "",
        "of aqua: the error over that without prediction, over the share of the squares that the prediction leaves; "
        "1 where the code errs alike on both"),
    HOGWILD_MEASURED("tokens_per_second", "1/s",
                     "that all workers write together, a second of the processor: measured"),
    HOGWILD_MEASURED("step_seconds", "s", "of the processor, in which each worker writes one token: measured"),
    HOGWILD_MEASURED("plain_tokens_per_second", "1/s",
                     "the same of ordinary decoding, from the same beginnings: measured"),
    HOGWILD_MEASURED("speedup", "", "tokens_per_second over plain_tokens_per_second"),
    HOGWILD("same_tokens", "", "of one worker: share of its tokens that ordinary decoding writes, too"),
    HOGWILD("score_difference", "",
            "largest difference of a score by rotated queries from that by rotated keys, over the vectors' lengths, in "
            "double precision"),
};
const size_t stage_result_count = sizeof stage_results / sizeof *stage_results;

const struct stage_result *stage_result_find(const char *name) {
  for (size_t i = 0; i < stage_result_count; i++)
    if (strcmp(stage_results[i].result.name, name) == 0) return &stage_results[i];
  return NULL;
}
