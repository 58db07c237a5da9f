// The networks of tasks: gradients against finite differences, masks, and a function that all optimizers learn.
#include "tests/check.h"
#include "trainer/tasks/network.h"

static const int64_t sizes[] = {5, 7, 6, 3};

static void data(float *x, int32_t *targets, int64_t rows, int64_t inputs, int64_t classes) {
  double normals[2];
  for (int64_t i = 0; i < rows * inputs; i++) {
    random_normal_pair(7, RANDOM_STREAM_NOISE, 0, (uint64_t)i, normals);
    x[i] = (float)normals[0];
  }
  // A class that the inputs say: the sign of the first, or the largest of the first few.
  for (int64_t r = 0; r < rows; r++) {
    targets[r] = classes == 1 ? x[r * inputs] > 0 : 0;
    for (int64_t j = 1; j < classes; j++)
      if (x[r * inputs + j] > x[r * inputs + targets[r]]) targets[r] = (int32_t)j;
  }
}

static void gradients_are_those_of_the_loss(void) {
  for (int outputs = 1; outputs <= 3; outputs += 2) {
    struct network n;
    struct error error = {0};
    int64_t of[] = {sizes[0], sizes[1], sizes[2], outputs};
    float x[4 * 5];
    int32_t targets[4];
    data(x, targets, 4, 5, outputs);
    if (!CHECK(network_open(&n, of, 3, 4, &(struct network_training){"sgd", 0, 1, 1}, &error))) return;
    network_initialise(&n, 3);
    for (int i = 0; i < 7; i++) n.parameters[n.bias[0] + i] = 0.1f * (float)(i - 3);
    network_train(&n, 4, x, targets, 0);  // no step: the gradients stay
    double largest = 0;
    for (int64_t i = 0; i < n.count; i++) {
      float was = n.parameters[i], h = 2e-3f;
      n.parameters[i] = was + h;
      double above = network_evaluate(&n, 4, x, targets, NULL);
      n.parameters[i] = was - h;
      double below = network_evaluate(&n, 4, x, targets, NULL);
      n.parameters[i] = was;
      double off = fabs((above - below) / (2 * (double)h) - (double)n.gradients[i]);
      if (off > largest) largest = off;
    }
    CHECK(largest < 2e-3);  // float32: 1e-7 / h
    network_close(&n);
  }
}

static void what_is_held_stays_zero(void) {
  struct network n;
  struct error error = {0};
  int64_t of[] = {5, 7, 1};
  float x[8 * 5], mask[256];
  int32_t targets[8];
  data(x, targets, 8, 5, 1);
  if (!CHECK(network_open(&n, of, 2, 8, &(struct network_training){"adamw", 0.1, 1, 1}, &error))) return;
  network_initialise(&n, 3);
  for (int64_t i = 0; i < n.count; i++) mask[i] = i % 3 != 0;
  network_hold(&n, mask);
  for (int i = 0; i < 20; i++) network_train(&n, 8, x, targets, 0.05);
  int moved = 0;
  for (int64_t i = 0; i < n.count; i++) {
    if (i % 3 == 0) CHECK(n.parameters[i] == 0);
    moved += n.parameters[i] != 0;
  }
  CHECK(moved > 30);
  network_close(&n);
}

static void every_optimizer_learns(void) {
  enum { ROWS = 64 };
  static const double rates[] = {0.02, 0.3, 0.01, 0.05, 0.05, 0.02, 0.05, 0.02, 0.02, 0.05};
  float x[ROWS * 5];
  int32_t targets[ROWS];
  data(x, targets, ROWS, 5, 3);
  for (size_t o = 0; optimizers[o]; o++) {
    struct network n;
    struct error error = {0};
    int64_t right;
    if (!CHECK(network_open(&n, sizes, 3, ROWS, &(struct network_training){optimizers[o]->name, 0, 1, 1}, &error)))
      return;
    network_initialise(&n, 1);
    double first = network_evaluate(&n, ROWS, x, targets, NULL);
    for (int i = 0; i < 150; i++) network_train(&n, ROWS, x, targets, rates[o]);
    double last = network_evaluate(&n, ROWS, x, targets, &right);
    if (!CHECK(last < 0.35 * first && right > ROWS * 8 / 10))
      printf("# %s: %g to %g, %lld right\n", optimizers[o]->name, first, last, (long long)right);
    network_close(&n);
  }
}

int main(int argc, char **argv) {
  RUN(gradients_are_those_of_the_loss);
  RUN(what_is_held_stays_zero);
  RUN(every_optimizer_learns);
  return check_end();
}
