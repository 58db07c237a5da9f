// Allocation against brute force, and its errors.
#include "tests/check.h"
#include "trainer/compress/allocation.h"

enum { LAYERS = 4, OPTIONS = 4 };

static double uniform(uint64_t seed, uint64_t index) {
  return random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 0, index);
}

// Layers of unlike sizes and options, not always better with more bits, and sometimes equal. Returns their weights.
static double draw(uint64_t seed, struct allocation_layer layers[LAYERS],
                   struct allocation_option options[LAYERS][OPTIONS]) {
  static const double bits[][OPTIONS] = {{2, 3, 4, 8}, {2.25, 3.25, 4.25, 16}, {2.0625, 3.0625, 4.0625, 4.5}};
  double weights = 0;
  for (int l = 0; l < LAYERS; l++) {
    uint64_t first = 300 + OPTIONS * (uint64_t)l;
    layers[l] = (struct allocation_layer){.weights = 64 * (1 + (int64_t)(20 * uniform(seed, (uint64_t)l))),
                                          .alpha = 5 * uniform(seed, 100 + (uint64_t)l),
                                          .options = options[l],
                                          .count = 1 + (int)((OPTIONS - 1e-9) * uniform(seed, 200 + (uint64_t)l))};
    weights += (double)layers[l].weights;
    for (int o = 0; o < OPTIONS; o++) {
      double chance = uniform(seed, first + (uint64_t)o);
      options[l][o].bits = bits[seed % 3][o];
      options[l][o].error = seed % 4 ? exp2(-2 * options[l][o].bits) * (0.5 + chance) : 0.25 * floor(4 * chance);
    }
  }
  return weights;
}

static void cost(const struct allocation_layer layers[LAYERS], const int choice[LAYERS], double *bits,
                 double *increase) {
  *bits = *increase = 0;
  for (int l = 0; l < LAYERS; l++) {
    *bits += layers[l].options[choice[l]].bits * (double)layers[l].weights;
    *increase += layers[l].alpha * layers[l].options[choice[l]].error;
  }
}

// Every choice there is: the least increase within the budget, and of those the fewest bits. INFINITY: none fits.
static void try_all(const struct allocation_layer layers[LAYERS], double budget, double *best, double *fewest) {
  *best = *fewest = INFINITY;
  for (int code = 0; code < 1 << 2 * LAYERS; code++) {
    int choice[LAYERS];
    double bits, increase;
    bool fine = true;
    for (int l = 0; l < LAYERS; l++) {
      choice[l] = code >> 2 * l & 3;
      fine = fine && choice[l] < layers[l].count;
    }
    if (!fine) continue;
    cost(layers, choice, &bits, &increase);
    if (bits > budget || increase > *best) continue;
    *fewest = increase < *best ? bits : fmin(*fewest, bits);
    *best = increase;
  }
}

static void brute_force(void) {
  int feasible = 0;
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct allocation_option options[LAYERS][OPTIONS];
    struct allocation_layer layers[LAYERS];
    double weights = draw(seed, layers, options), budget = 2 + 3 * uniform(seed, 999), best, fewest, bits, increase;
    int choice[LAYERS];
    struct allocation allocation = {.choice = choice};
    struct error error = {0};
    try_all(layers, budget * weights, &best, &fewest);
    bool found = allocate(layers, LAYERS, budget, &allocation, &error);
    CHECK(found == isfinite(best));
    if (!found) {
      CHECK(strstr(error.text, "cheapest") != NULL);
      continue;
    }
    feasible++;
    for (int l = 0; l < LAYERS; l++) CHECK(choice[l] >= 0 && choice[l] < layers[l].count);
    cost(layers, choice, &bits, &increase);
    CHECK_NEAR(increase, best, 1e-14);
    CHECK_NEAR(allocation.increase, best, 1e-14);
    CHECK_NEAR(allocation.bits, bits / weights, 1e-12);
    CHECK(bits <= budget * weights * (1 + 1e-12));
    CHECK_NEAR(bits, fewest, 1e-12);
  }
  CHECK(feasible > 200);
}

// A budget that is met exactly; equal layers; as many as a model has.
static void budgets(void) {
  struct allocation_option options[] = {{2, .1}, {3, .03}, {4, .008}};
  struct allocation_layer layers[96];
  int choice[96];
  struct error error = {0};
  struct allocation allocation = {.choice = choice};
  for (int l = 0; l < 96; l++) layers[l] = (struct allocation_layer){l % 3 ? 256 * 256 : 768 * 256, 1, options, 3};
  for (int budget = 2; budget <= 4; budget++) {
    CHECK(allocate(layers, 96, budget, &allocation, &error));
    CHECK(allocation.bits <= budget);
    if (budget != 3) CHECK_NEAR(allocation.bits, budget, 1e-12);
  }
  for (int l = 0; l < 96; l++) CHECK(choice[l] == 2);
  CHECK(allocate(layers, 96, 17, &allocation, &error));
  CHECK_NEAR(allocation.bits, 4, 1e-12);
}

static void refused(const struct allocation_layer *layer, double budget, const char *why) {
  int choice[1];
  struct error error = {0};
  struct allocation allocation = {.choice = choice};
  CHECK(!allocate(layer, 1, budget, &allocation, &error));
  if (!CHECK(strstr(error.text, why) != NULL)) printf("# %s\n", error.text);
  CHECK(error.code == EXIT_USAGE_ERROR);
}

static void refusals(void) {
  struct allocation_option options[] = {{2, .1}, {3, .03}}, wrong[] = {{2, NAN}};
  refused(&(struct allocation_layer){100, 1, options, 2}, 1.9, "below the cheapest options, which take 2");
  refused(&(struct allocation_layer){100, 1, options, 2}, NAN, "below");
  refused(&(struct allocation_layer){100, -1, options, 2}, 3, "alpha -1");
  refused(&(struct allocation_layer){100, NAN, options, 2}, 3, "alpha");
  refused(&(struct allocation_layer){100, 1, wrong, 1}, 3, "t^2");
  refused(&(struct allocation_layer){100, 1, options, 0}, 3, "no options");
  refused(&(struct allocation_layer){0, 1, options, 2}, 3, "no weights");
}

// One option for all layers against all that there are, on the problems of brute_force that have equally many.
static void one_option_for_all(void) {
  struct allocation_layer layers[LAYERS];
  struct allocation_option options[LAYERS][OPTIONS];
  int refused = 0, chosen = 0;
  for (uint64_t seed = 0; seed < 1000; seed++) {
    double weights = draw(seed, layers, options), best = INFINITY, best_bits = INFINITY, bits, increase;
    for (int l = 0; l < LAYERS; l++) layers[l].count = OPTIONS;
    double budget = 1.5 + 6 * uniform(seed, 500);
    int choice[LAYERS];
    struct allocation allocation = {.choice = choice};
    struct error error = {0};
    bool fine = allocate_uniform(layers, LAYERS, budget, &allocation, &error);
    for (int o = 0; o < OPTIONS; o++) {
      const int all[LAYERS] = {o, o, o, o};
      cost(layers, all, &bits, &increase);
      if (bits > budget * weights || increase > best || (increase == best && bits >= best_bits)) continue;
      best = increase;
      best_bits = bits;
    }
    CHECK(fine == isfinite(best));
    refused += !fine;
    if (!fine) {
      CHECK(strstr(error.text, "below the cheapest options") && error.code == EXIT_USAGE_ERROR);
      continue;
    }
    chosen++;
    CHECK_NEAR(allocation.increase, best, 1e-15);
    CHECK_NEAR(allocation.bits, best_bits / weights, 1e-12);
    for (int l = 1; l < LAYERS; l++) CHECK(choice[l] == choice[0]);
    struct allocation each = {.choice = choice};
    CHECK(allocate(layers, LAYERS, budget, &each, &error) && each.increase <= allocation.increase * (1 + 1e-12));
  }
  CHECK(refused > 20 && chosen > 200);
}

// alpha = sum x y / sum x^2; its standard error from what is left. Numbers by hand: x 1 2 3, y 2 3 7 give 29 / 14,
// residuals -1/14, -16/14, 11/14.
static void lines_through_the_origin(void) {
  const double x[] = {1, 2, 3}, y[] = {2, 3, 7};
  struct sensitivity fit = sensitivity_fit(x, y, 3);
  CHECK_NEAR(fit.alpha, 29.0 / 14, 1e-15);
  CHECK_NEAR(fit.error, sqrt((1 + 256 + 121) / 196.0 / 2 / 14), 1e-15);
  fit = sensitivity_fit(x + 1, y + 1, 1);
  CHECK(fit.alpha == 1.5 && isnan(fit.error));
  const double exact[] = {-0.25, -0.5, -0.75};
  fit = sensitivity_fit(x, exact, 3);
  CHECK_NEAR(fit.alpha, -0.25, 1e-15);
  CHECK_NEAR(fit.error, 0, 1e-15);
}

int main(int argc, char **argv) {
  RUN(brute_force);
  RUN(budgets);
  RUN(one_option_for_all);
  RUN(lines_through_the_origin);
  RUN(refusals);
  return check_end();
}
