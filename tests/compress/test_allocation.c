// Allocation against brute force, and its errors.
#include "tests/check.h"
#include "trainer/compress/allocation.h"

enum { LAYERS = 4, OPTIONS = 4 };

static double uniform(uint64_t seed, uint64_t index) {
  return random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, 0, index);
}

static void brute_force(void) {
  static const double bits[][OPTIONS] = {{2, 3, 4, 8}, {2.25, 3.25, 4.25, 16}, {2.0625, 3.0625, 4.0625, 4.5}};
  int feasible = 0;
  for (uint64_t seed = 0; seed < 300; seed++) {
    struct allocation_option options[LAYERS][OPTIONS];
    struct allocation_layer layers[LAYERS];
    double weights = 0;
    for (int l = 0; l < LAYERS; l++) {
      layers[l] = (struct allocation_layer){.weights = 64 * (1 + (int64_t)(20 * uniform(seed, (uint64_t)l))),
                                            .alpha = 5 * uniform(seed, 100 + (uint64_t)l),
                                            .options = options[l],
                                            .count = 1 + (int)(OPTIONS * uniform(seed, 200 + (uint64_t)l))};
      if (layers[l].count > OPTIONS) layers[l].count = OPTIONS;
      weights += (double)layers[l].weights;
      for (int o = 0; o < OPTIONS; o++) {
        options[l][o].bits = bits[seed % 3][o];
        // Not always better with more bits, and sometimes equal.
        options[l][o].error =
            seed % 4 ? exp2(-2 * options[l][o].bits) * (0.5 + uniform(seed, 300 + 4 * (uint64_t)l + (uint64_t)o))
                     : 0.25 * floor(4 * uniform(seed, 300 + 4 * (uint64_t)l + (uint64_t)o));
      }
    }
    double budget = 2 + 3 * uniform(seed, 999), best = INFINITY, fewest = INFINITY;
    for (int code = 0; code < 256; code++) {
      double used = 0, increase = 0;
      bool fine = true;
      for (int l = 0; l < LAYERS; l++) {
        int o = code >> 2 * l & 3;
        fine = fine && o < layers[l].count;
        used += options[l][o].bits * (double)layers[l].weights;
        increase += layers[l].alpha * options[l][o].error;
      }
      if (!fine || used > budget * weights) continue;
      if (increase < best - 1e-15 * best) fewest = INFINITY;
      if (increase < best) best = increase;
      if (increase <= best * (1 + 1e-15)) fewest = fmin(fewest, used / weights);
    }
    int choice[LAYERS];
    struct allocation allocation = {.choice = choice};
    struct error error = {0};
    bool found = allocate(layers, LAYERS, budget, &allocation, &error);
    CHECK(found == isfinite(best));
    if (!found) {
      CHECK(strstr(error.text, "cheapest") != NULL);
      continue;
    }
    feasible++;
    double used = 0, increase = 0;
    for (int l = 0; l < LAYERS; l++) {
      CHECK(choice[l] >= 0 && choice[l] < layers[l].count);
      used += options[l][choice[l]].bits * (double)layers[l].weights;
      increase += layers[l].alpha * options[l][choice[l]].error;
    }
    CHECK_NEAR(allocation.increase, best, 1e-14);
    CHECK_NEAR(increase, best, 1e-14);
    CHECK_NEAR(allocation.bits, used / weights, 1e-12);
    CHECK(used <= budget * weights * (1 + 1e-12));
    CHECK_NEAR(allocation.bits, fewest, 1e-12);
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

int main(int argc, char **argv) {
  RUN(brute_force);
  RUN(budgets);
  RUN(refusals);
  return check_end();
}
