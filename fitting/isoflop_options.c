// Options of compute-optimal sizes from text: methods, and the noise of a loss.
#include <math.h>
#include <string.h>

#include "fitting/isoflop.h"

const struct isoflop_noise isoflop_default_noise = {0.002, 0.05, 3, 7};

static const char *const method_names[] = {"parabola", "akima", "envelope"};

bool isoflop_method_parse(const char *text, enum isoflop_method *method, struct error *error) {
  for (int i = 0; i < 3; i++)
    if (strcmp(text, method_names[i]) == 0) {
      *method = (enum isoflop_method)i;
      return true;
    }
  error_set(error, EXIT_USAGE_ERROR, "method '%s' is none of parabola, akima, envelope", text);
  return error_hint(error, nearest_name(text, method_names, 3), NULL);
}

const char *isoflop_method_name(enum isoflop_method method) { return method_names[method]; }

bool isoflop_noise_parse(const char *text, struct isoflop_noise *noise, struct error *error) {
  char copy[200];
  double numbers[4];
  snprintf(copy, sizeof copy, "%s", text);
  char *comma = strchr(copy, ',');
  bool fine = strlen(text) < sizeof copy;
  if (!comma && fine) {
    fine = number_parse(copy, &numbers[0]);
    numbers[2] = numbers[0];
    numbers[1] = numbers[3] = 1;
  } else if (fine) {
    *comma = 0;
    char *parts[] = {copy, comma + 1};
    for (int i = 0; i < 2 && fine; i++) {
      char *at = strchr(parts[i], '@');
      fine = at != NULL;
      if (!fine) break;
      *at = 0;
      fine = number_parse(parts[i], &numbers[2 * i]) && number_parse(at + 1, &numbers[2 * i + 1]);
    }
    fine = fine && numbers[3] > numbers[1] && numbers[1] > 0;
  }
  for (int i = 0; i < 4 && fine; i++) fine = numbers[i] > 0 && isfinite(numbers[i]);
  if (!fine)
    return error_set(error, EXIT_USAGE_ERROR,
                     "noise '%s' is neither a standard deviation of the loss (0.002) nor two at two losses "
                     "(0.002@3,0.05@7)",
                     text);
  *noise =
      (struct isoflop_noise){.low = numbers[0], .low_loss = numbers[1], .high = numbers[2], .high_loss = numbers[3]};
  return true;
}

double isoflop_noise_at(const struct isoflop_noise *noise, double loss) {
  if (!(loss > noise->low_loss) || !(noise->high_loss > noise->low_loss)) return noise->low;
  if (loss >= noise->high_loss) return noise->high;
  double share = log(loss / noise->low_loss) / log(noise->high_loss / noise->low_loss);
  return noise->low * pow(noise->high / noise->low, share);
}

bool isoflop_pins_parse(const char *text, struct isoflop_pins *pins, struct error *error) {
  static const char *const names[] = {"a", "b"};
  struct arena arena = {0};
  size_t count;
  const char **items = text_split(&arena, text, ", ", &count);
  bool fine = count > 0;
  for (size_t i = 0; i < count && fine; i++) {
    const char *equals = strchr(items[i], '=');
    double value;
    fine = equals && number_parse(equals + 1, &value) && isfinite(value);
    int found = -1;
    for (int q = 0; q < 2 && fine; q++)
      if (strncmp(items[i], names[q], (size_t)(equals - items[i])) == 0 && equals - items[i] == 1) found = q;
    fine = fine && found >= 0;
    if (!fine) break;
    pins->held[found] = true;
    pins->exponent[found] = value;
  }
  arena_free(&arena);
  return fine || error_set(error, EXIT_USAGE_ERROR,
                           "pin '%s' does not hold an exponent: a=0.5 holds that of N* in C, b=0.5 that of D*", text);
}
