// `report`: its title and its plots.
#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

void spec_read_report(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "report: {plots: [loss-curves]}", "report must be a mapping, not %s",
               node_kind_name(node));
    return;
  }
  spec_check_keys(&spec_report_keys, node, reader->diagnostics);
  const struct node *value;
  if ((value = node_find(node, "title"))) {
    const char *title = spec_read_text(reader, value, "title");
    if (title) spec->title = title;
  }
  if (!(value = node_find(node, "plots"))) return;
  if (value->kind != NODE_SEQUENCE) {
    node_error(value, reader->diagnostics, "plots: [loss-curves]", "plots must be a list, not %s",
               node_kind_name(value));
    return;
  }
  spec->plots = arena_array(&spec->arena, value->count + 1, sizeof *spec->plots);
  spec->plot_nodes = arena_array(&spec->arena, value->count + 1, sizeof *spec->plot_nodes);
  for (size_t i = 0; i < value->count; i++) {
    const struct node *item = value->items[i];
    const char *plot = reader->options->plots
                           ? spec_read_choice(reader, item, reader->options->plots, reader->options->plot_count, "plot")
                           : spec_read_text(reader, item, "a plot");
    if (!plot) continue;
    spec->plots[spec->plot_count] = plot;
    spec->plot_nodes[spec->plot_count++] = item;
  }
}
