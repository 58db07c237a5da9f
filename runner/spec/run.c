// `run`: limits on each run, halving, and how Slurm is asked. They are no part of a run's identity.
#include <math.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"
#include "runner/spec/slurm.h"

double spec_seconds(const char *text) {
  static const struct {
    const char *name;
    double seconds;
  } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}};
  char number[32];
  size_t length = strspn(text, "0123456789.");
  double value;
  if (length == 0 || length >= sizeof number) return NAN;
  memcpy(number, text, length);
  number[length] = '\0';
  const char *unit = text + length + strspn(text + length, " ");
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(units[i].name, unit) == 0)
      return number_parse(number, &value) && value > 0 && value < 1e9 ? value * units[i].seconds : NAN;
  return NAN;
}

static void read_limit(struct spec_reader *reader, const struct node *mapping, const char *key, double *seconds) {
  const struct node *node = node_find(mapping, key);
  const char *text = node ? spec_read_text(reader, node, key) : NULL;
  if (!text) return;
  *seconds = spec_seconds(text);
  if (!isnan(*seconds)) return;
  *seconds = 0;
  node_error(node, reader->diagnostics, "seconds, or a number with s, min, h or d: 6 h", "%s: '%.60s' is no duration",
             key, text);
}

bool spec_price(const char *text, double *amount, const char **currency) {
  char number[32];
  size_t length = strspn(text, "0123456789.");
  if (length == 0 || length >= sizeof number) return false;
  memcpy(number, text, length);
  number[length] = '\0';
  *currency = text + length + strspn(text + length, " ");
  return number_parse(number, amount) && *amount >= 0 && *amount < 1e9 && strlen(*currency) <= 12 &&
         strcspn(*currency, " \t\n<>&\"'") == strlen(*currency);
}

bool spec_shares_trunks(const struct spec *spec) {
  return spec->limits.share_trunks && !spec->halving.node && spec_trains_model(spec);
}

void spec_read_run(struct spec_reader *reader, const struct node *node) {
  static const char *const choices[] = {"tell", "retry"};
  struct spec_limits *limits = &reader->spec->limits;
  limits->share_trunks = true;
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "run: {time_limit: 6 h, stall_limit: 15 min}",
               "run must be a mapping, not %s", node_kind_name(node));
    return;
  }
  spec_check_keys(&spec_run_keys, node, reader->diagnostics);
  read_limit(reader, node, "time_limit", &limits->time);
  read_limit(reader, node, "stall_limit", &limits->stall);
  const struct node *share = node_find(node, "share_trunks");
  if (share && !node_boolean(share, &limits->share_trunks))
    node_error(share, reader->diagnostics, "share_trunks: false", "share_trunks must be true or false");
  const struct node *value = node_find(node, "on_stall");
  const char *choice = value ? spec_read_choice(reader, value, choices, 2, "on_stall") : NULL;
  limits->retry_stalled = choice && strcmp(choice, "retry") == 0;
  const struct node *clean = node_find(node, "require_clean");
  if (clean && !node_boolean(clean, &reader->spec->require_clean))
    node_error(clean, reader->diagnostics, "require_clean: true", "require_clean must be true or false");
  const struct node *price = node_find(node, "price_per_hour");
  const char *text = price ? spec_read_text(reader, price, "price_per_hour") : NULL, *currency;
  double amount;
  if (text && !spec_price(text, &amount, &currency))
    node_error(price, reader->diagnostics, "price_per_hour: 2.5 EUR",
               "price_per_hour: '%.60s' is no price: a number, and a currency in one word", text);
  else
    reader->spec->price = text;
  if (node_find(node, "halving") && reader->spec->task)
    node_error(node_find(node, "halving"), reader->diagnostics, NULL, "halving goes with task lm");
  else if (node_find(node, "halving"))
    spec_read_halving(reader, node_find(node, "halving"));
  const struct node *slurm = node_find(node, "slurm");
  if (slurm) {
    // Read here for its mistakes alone: what it is laid over is known when it is used.
    struct slurm_profile profile;
    slurm_profile_default(&profile);
    slurm_profile_read(slurm, &profile, &reader->spec->arena, reader->diagnostics);
    reader->spec->slurm = slurm;
  }
  if (choice && !node_find(node, "stall_limit"))
    node_error(value, reader->diagnostics, "stall_limit: 15 min", "on_stall says nothing without a stall_limit");
}
