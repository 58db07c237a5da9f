// What the simulation of the bias of compute-optimal sizes says, in numbers without it and in words.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fitting/isoflop_internal.h"

double isoflop_corrected(const struct isoflop *result, enum isoflop_quantity quantity) {
  if (!result->bias.surface || result->bias.trouble || !result->regressed) return NAN;
  const struct power_regression *best = isoflop_best(&result->exponents[quantity]);
  return best->pinned ? best->coefficient / result->bias.exponents[quantity].coefficient
                      : best->exponent - result->bias.exponents[quantity].off;
}

static const char *exponent_sentence(struct arena *arena, const struct isoflop *result, enum isoflop_quantity quantity,
                                     const char *symbol) {
  static const char *const methods[] = {"the parabola's", "Akima's", "the envelope's"};
  const char *whose = methods[result->method];
  double off = result->bias.exponents[quantity].off, corrected = isoflop_corrected(result, quantity),
         truth = result->bias.exponents[quantity].truth, factor = result->bias.exponents[quantity].coefficient;
  char number[40];
  if (isoflop_best(&result->exponents[quantity])->pinned)
    return arena_format(arena,
                        "on this grid %s coefficient of %s is off by %+.2f %% with the exponent held; corrected %s",
                        whose, symbol, 100 * (factor - 1), number_digits(corrected, 4, number));
  if (fabs(off) < 5e-5)
    return arena_format(arena, "on this grid %s exponent of %s is right within 0.0001 (of %.4f)", whose, symbol, truth);
  return arena_format(arena, "on this grid %s exponent of %s is off by %+.4f (of %.4f); corrected %.4f", whose, symbol,
                      off, truth, corrected);
}

const char *const *isoflop_bias_sentences(struct arena *arena, const struct isoflop *result) {
  const struct isoflop_bias *bias = &result->bias;
  const char **sentences = arena_array(arena, 6, sizeof *sentences);
  size_t count = 0;
  if (!bias->surface) return sentences;
  if (bias->trouble) {
    sentences[0] = arena_format(arena, "the bias on this grid is not known: %s", bias->trouble);
    return sentences;
  }
  if (result->regressed) {
    sentences[count++] = exponent_sentence(arena, result, ISOFLOP_PARAMETERS, "N*");
    sentences[count++] = exponent_sentence(arena, result, ISOFLOP_TOKENS, "D*");
  }
  if (isfinite(bias->factor_low))
    sentences[count++] = arena_format(arena, "its best sizes are off by %+.2f %% to %+.2f %%",
                                      100 * (bias->factor_low - 1), 100 * (bias->factor_high - 1));
  sentences[count++] =
      arena_format(arena, "simulated without noise on the law %s, which misses the %zu losses by %.2g %% (rms)%s",
                   bias->surface, bias->rows, 100 * bias->residual_rms,
                   bias->budgets < result->used && result->method != ISOFLOP_ENVELOPE
                       ? arena_format(arena, ", on %zu of the %zu budgets", bias->budgets, result->used)
                       : "");
  return sentences;
}

const char *isoflop_degrees_words(const struct isoflop *result, char out[64]) {
  double degrees = result->noise_degrees;
  *out = '\0';
  if (degrees > 0) snprintf(out, 64, ", %g degree%s of freedom", degrees, degrees == 1 ? "" : "s");
  return out;
}
