// Runs made up from a known law, for tests of figures: sizes x tokens (or tokens per parameter) x formats, with a
// little reproducible noise.
#pragma once
#include <math.h>
#include <string.h>

#include "plots/plots.h"

struct made_law {
  double a, alpha, b, beta, e;
};
static const struct made_law made_law = {28, 0.36, 46, 0.33, 0.9};

static inline double made_effective(const char *format) {
  return strcmp(format, "w4a4") == 0 ? 0.62 : strcmp(format, "w2a2") == 0 ? 0.21 : strcmp(format, "w4") == 0 ? 0.85 : 1;
}

static inline double made_bits(const char *format) { return format[0] == 'w' ? format[1] - '0' : 16; }

static inline double made_loss(const void *context, const char *format, double parameters, double tokens) {
  const struct made_law *law = context;
  return law->a * pow(parameters * made_effective(format), -law->alpha) + law->b * pow(tokens, -law->beta) + law->e;
}

struct made_design {
  const double *sizes;
  size_t size_count;
  const double *budgets;  // tokens, or tokens per parameter when `ratios`
  size_t budget_count;
  bool ratios;
  const char *const *formats;  // NULL: none
  size_t format_count;
  const double *rates;  // NULL: 1e-3
  size_t rate_count;
  double hold_out_above;  // sizes from here on are held out
};

static inline struct plot_data made_data(struct arena *arena, const struct made_design *design, bool with_fit) {
  static const char *const plain[] = {"none"};
  static const double one_rate[] = {1e-3};
  size_t formats = design->formats ? design->format_count : 1, rates = design->rates ? design->rate_count : 1;
  struct plot_run *runs = arena_array(arena, design->size_count * design->budget_count * formats * rates, sizeof *runs);
  size_t n = 0;
  for (size_t f = 0; f < formats; f++)
    for (size_t s = 0; s < design->size_count; s++)
      for (size_t b = 0; b < design->budget_count; b++)
        for (size_t r = 0; r < rates; r++) {
          struct plot_run *run = &runs[n];
          run->id = arena_format(arena, "%08zx", n);
          run->format = (design->formats ? design->formats : plain)[f];
          run->parameters = design->sizes[s];
          run->tokens = design->budgets[b] * (design->ratios ? run->parameters : 1);
          run->learning_rate = (design->rates ? design->rates : one_rate)[r];
          run->flops = 6 * run->parameters * run->tokens;
          run->weight_bytes = run->parameters * made_bits(run->format) / 8;
          run->seconds = run->flops / 1e9;
          for (int i = 0; i < 3; i++) run->bits[i] = i < 2 ? made_bits(run->format) : 16;
          double law = made_loss(&made_law, run->format, run->parameters, run->tokens);
          double off = log(run->learning_rate / 1e-3 * pow(run->parameters / 1e5, 0.3));
          double pair[2];
          random_normal_pair(7, RANDOM_STREAM_NOISE, 0, n, pair);
          run->loss = law * (1 + 0.004 * pair[0] + 0.012 * off * off * (rates > 1));
          run->predicted = with_fit ? law : NAN;
          run->held_out = design->hold_out_above > 0 && run->parameters >= design->hold_out_above;
          run->fitted = with_fit && !run->held_out && (rates == 1 || fabs(off) < 0.6);
          size_t points = 30;
          double *tokens = arena_array(arena, points, sizeof *tokens), *loss = arena_array(arena, points, sizeof *loss);
          for (size_t k = 0; k < points; k++) {
            double part = (double)k / (double)(points - 1);
            tokens[k] = 16384 * pow(run->tokens / 16384, part);
            double early = 4.6 * pow(tokens[k] / 16384, -0.5),
                   now = made_loss(&made_law, run->format, run->parameters, tokens[k]);
            loss[k] = k + 1 == points ? run->loss : fmin(5.55, now + early * (1 - part) + 0.02 * (1 - part));
          }
          run->validation = (struct plot_curve){points, tokens, loss};
          n++;
        }
  struct plot_fit *fit = NULL;
  if (with_fit) {
    fit = arena_alloc(arena, sizeof *fit);
    fit->name = "made-up";
    fit->law = "chinchilla";
    fit->evaluate = made_loss;
    fit->context = &made_law;
    if (design->formats) {
      struct plot_effective *effective = arena_array(arena, formats, sizeof *effective);
      for (size_t f = 0; f < formats; f++) {
        double value = made_effective(design->formats[f]), spread = value == 1 ? NAN : 0.12 * sqrt(value);
        effective[f] = (struct plot_effective){.format = design->formats[f],
                                               .weight_bits = made_bits(design->formats[f]),
                                               .value = value,
                                               .low = value - spread,
                                               .high = value + 0.8 * spread};
      }
      fit->effective = effective;
      fit->effective_count = formats;
    }
  }
  return (struct plot_data){.runs = runs, .count = n, .fit = fit, .irreducible_loss = NAN};
}

// How often `words` are in the text.
static inline int times(const struct text *text, const char *words) {
  int count = 0;
  for (const char *c = text_string(text); (c = strstr(c, words)); c += strlen(words)) count++;
  return count;
}
