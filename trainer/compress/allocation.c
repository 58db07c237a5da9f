// The multiple-choice knapsack problem by dynamic programming. See allocation.h.
#include "trainer/compress/allocation.h"

#include <math.h>
#include <stdlib.h>

// A choice for the first layers that none other beats in both cost and increase.
struct state {
  int64_t cost;  // in units of the common divisor, above the cheapest options
  double increase;
  int64_t before;  // its state of the layers before
  int option;
};
struct states {
  struct state *list;  // ascending cost, descending increase
  int64_t count;
};

static int64_t divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// Bits of a layer by an option, whole: bits per weight may be a fraction, stored bits are not.
static int64_t cost_of(const struct allocation_layer *layer, int option) {
  return llround(layer->options[option].bits * (double)layer->weights);
}

static bool check(const struct allocation_layer *layers, int count, struct error *error) {
  for (int l = 0; l < count; l++) {
    if (layers[l].count < 1 || layers[l].weights < 1)
      return error_set(error, EXIT_USAGE_ERROR, "layer %d has no %s", l, layers[l].count < 1 ? "options" : "weights");
    if (!(layers[l].alpha >= 0) || !isfinite(layers[l].alpha))
      return error_set(error, EXIT_USAGE_ERROR,
                       "layer %d has alpha %g: it must be finite and not negative (measure it with more noise)", l,
                       layers[l].alpha);
    for (int o = 0; o < layers[l].count; o++) {
      const struct allocation_option *option = &layers[l].options[o];
      if (!(option->error >= 0) || !isfinite(option->error) || !(option->bits >= 0) || !isfinite(option->bits))
        return error_set(error, EXIT_USAGE_ERROR,
                         "option %d of layer %d has t^2 %g at %g bits: both must be finite and not negative", o, l,
                         option->error, option->bits);
    }
  }
  return true;
}

static int by_cost(const void *a, const void *b) {
  const struct state *x = a, *y = b;
  if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
  if (x->increase != y->increase) return x->increase < y->increase ? -1 : 1;
  if (x->option != y->option) return x->option < y->option ? -1 : 1;
  return (x->before > y->before) - (x->before < y->before);
}

// All states of one layer more, within the limit, without those that are beaten.
static struct states extend(const struct states *from, const struct allocation_layer *layer, int64_t cheapest,
                            int64_t unit, int64_t limit) {
  struct states to = {memory_get((size_t)(from->count * layer->count) * sizeof(struct state)), 0};
  for (int64_t s = 0; s < from->count; s++)
    for (int o = 0; o < layer->count; o++) {
      int64_t cost = from->list[s].cost + (cost_of(layer, o) - cheapest) / unit;
      if (cost <= limit)
        to.list[to.count++] =
            (struct state){cost, from->list[s].increase + layer->alpha * layer->options[o].error, s, o};
    }
  qsort(to.list, (size_t)to.count, sizeof *to.list, by_cost);
  int64_t kept = 0;
  for (int64_t s = 0; s < to.count; s++)
    if (!kept || to.list[s].increase < to.list[kept - 1].increase) to.list[kept++] = to.list[s];
  to.count = kept;
  return to;
}

bool allocate(const struct allocation_layer *layers, int count, double budget_bits, struct allocation *allocation,
              struct error *error) {
  if (!check(layers, count, error)) return false;
  int64_t *cheapest = memory_get((size_t)(count + 1) * sizeof *cheapest), least = 0, unit = 0, weights = 0;
  for (int l = 0; l < count; l++) {
    cheapest[l] = INT64_MAX;
    for (int o = 0; o < layers[l].count; o++)
      if (cost_of(&layers[l], o) < cheapest[l]) cheapest[l] = cost_of(&layers[l], o);
    for (int o = 0; o < layers[l].count; o++) unit = divisor(unit, cost_of(&layers[l], o) - cheapest[l]);
    least += cheapest[l];
    weights += layers[l].weights;
  }
  if (!unit) unit = 1;
  // A budget that is met exactly is met: 1e-9 of a bit for its rounding.
  int64_t budget = (int64_t)floor(budget_bits * (double)weights * (1 + 1e-12) + 1e-6);
  if (!(budget_bits >= 0) || budget < least) {
    free(cheapest);
    return error_set(error, EXIT_USAGE_ERROR,
                     "a budget of %g bits per weight is below the cheapest options, which take %.6g", budget_bits,
                     (double)least / (double)weights);
  }
  struct states *states = memory_get((size_t)(count + 1) * sizeof *states);
  states[0] = (struct states){memory_get(sizeof(struct state)), 1};
  for (int l = 0; l < count; l++)
    states[l + 1] = extend(&states[l], &layers[l], cheapest[l], unit, (budget - least) / unit);
  // The last state has the least increase.
  int64_t at = states[count].count - 1, cost = least + states[count].list[at].cost * unit;
  allocation->increase = states[count].list[at].increase;
  allocation->bits = (double)cost / (double)weights;
  for (int l = count; l > 0; l--) {
    allocation->choice[l - 1] = states[l].list[at].option;
    at = states[l].list[at].before;
  }
  for (int l = 0; l <= count; l++) free(states[l].list);
  free(states);
  free(cheapest);
  return true;
}

bool allocate_uniform(const struct allocation_layer *layers, int count, double budget_bits,
                      struct allocation *allocation, struct error *error) {
  if (!check(layers, count, error)) return false;
  int best = -1;
  double weights = 0, least = INFINITY, best_cost = 0, best_increase = 0;
  for (int l = 0; l < count; l++) weights += (double)layers[l].weights;
  for (int o = 0; o < layers[0].count; o++) {
    double cost = 0, increase = 0;
    for (int l = 0; l < count; l++) {
      cost += (double)cost_of(&layers[l], o);
      increase += layers[l].alpha * layers[l].options[o].error;
    }
    least = fmin(least, cost);
    if (!(cost <= budget_bits * weights * (1 + 1e-12) + 1e-6)) continue;
    if (best >= 0 && (increase > best_increase || (increase == best_increase && cost >= best_cost))) continue;
    best = o;
    best_cost = cost;
    best_increase = increase;
  }
  if (best < 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "a budget of %g bits per weight is below the cheapest options, which take %.6g", budget_bits,
                     least / weights);
  for (int l = 0; l < count; l++) allocation->choice[l] = best;
  allocation->increase = best_increase;
  allocation->bits = best_cost / weights;
  return true;
}

struct sensitivity sensitivity_fit(const double *x, const double *y, int count) {
  double xx = 0, xy = 0, apart = 0;
  for (int i = 0; i < count; i++) {
    xx += x[i] * x[i];
    xy += x[i] * y[i];
  }
  const double alpha = xy / xx;
  for (int i = 0; i < count; i++) apart += (y[i] - alpha * x[i]) * (y[i] - alpha * x[i]);
  return (struct sensitivity){alpha, count > 1 ? sqrt(apart / (count - 1) / xx) : NAN};
}
