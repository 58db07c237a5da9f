// See sentencepiece_face.h.
#include "trainer/data/sentencepiece_face.h"

#include <cstdio>
#include <exception>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <string>
#include <unordered_map>
#include <vector>

namespace sentencepiece {
namespace logging {
// In the library, but in none of its installed headers. Levels: 0 info, 1 warning, 2 error, 3 fatal.
void SetMinLogLevel(int level);
}  // namespace logging
}  // namespace sentencepiece

struct piece_model {
  ::sentencepiece::SentencePieceProcessor processor;
  std::vector<std::string> pieces;  // the text of each id
  int32_t byte_ids[256];
};

namespace {

bool fail(char *message, size_t room, const char *text) {
  std::snprintf(message, room, "%s", text);
  return false;
}

bool check(const ::sentencepiece::util::Status &status, char *message, size_t room) {
  return status.ok() || fail(message, room, status.error_message());
}

const std::string space_symbol = "\xE2\x96\x81";  // U+2581, the library's space

std::string plain_text(const std::string &piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    if (piece.compare(at, space_symbol.size(), space_symbol) == 0) {
      text += ' ';
      at += space_symbol.size();
    } else {
      text += piece[at++];
    }
  }
  return text;
}

class Lines : public ::sentencepiece::SentenceIterator {
 public:
  Lines(const struct sentencepiece_line *lines, size_t count) : lines_(lines), count_(count) { load(); }
  bool done() const override { return at_ >= count_; }
  void Next() override {
    at_++;
    load();
  }
  const std::string &value() const override { return value_; }
  ::sentencepiece::util::Status status() const override { return ::sentencepiece::util::Status(); }

 private:
  void load() {
    if (at_ < count_) value_.assign(lines_[at_].text, lines_[at_].length);
  }
  const struct sentencepiece_line *lines_;
  size_t count_, at_ = 0;
  std::string value_;
};

}  // namespace

extern "C" {

bool sentencepiece_present(void) { return true; }

struct piece_model *sentencepiece_load(const void *bytes, size_t length, char *message, size_t room) try {
  ::sentencepiece::logging::SetMinLogLevel(3);
  auto *model = new struct piece_model;
  if (!check(model->processor.LoadFromSerializedProto(std::string(static_cast<const char *>(bytes), length)), message,
             room)) {
    delete model;
    return nullptr;
  }
  for (int32_t &id : model->byte_ids) id = -1;
  for (int id = 0; id < model->processor.GetPieceSize(); id++) {
    const std::string &piece = model->processor.IdToPiece(id);
    unsigned byte;
    if (model->processor.IsByte(id) && std::sscanf(piece.c_str(), "<0x%2X>", &byte) == 1) {
      model->byte_ids[byte] = id;
      model->pieces.push_back(std::string(1, static_cast<char>(byte)));
    } else if (model->processor.IsControl(id) || model->processor.IsUnknown(id)) {
      model->pieces.push_back("");
    } else {
      model->pieces.push_back(plain_text(piece));
    }
  }
  return model;
} catch (const std::exception &exception) {
  fail(message, room, exception.what());
  return nullptr;
}

void sentencepiece_free(struct piece_model *model) { delete model; }

int32_t sentencepiece_vocabulary(const struct piece_model *model) { return model->processor.GetPieceSize(); }
int32_t sentencepiece_end_id(const struct piece_model *model) { return model->processor.eos_id(); }
int32_t sentencepiece_byte_id(const struct piece_model *model, int byte) { return model->byte_ids[byte & 255]; }

int32_t sentencepiece_piece(const struct piece_model *model, int32_t id, const char **text) {
  if (id < 0 || static_cast<size_t>(id) >= model->pieces.size()) return 0;
  const std::string &piece = model->pieces[static_cast<size_t>(id)];
  if (text) *text = piece.data();
  return static_cast<int32_t>(piece.size());
}

bool sentencepiece_encode(const struct piece_model *model, const char *text, size_t length, bool exact,
                          sentencepiece_token *token, void *context, char *message, size_t room) try {
  if (exact) {
    std::vector<int> ids;
    if (!check(model->processor.Encode(absl::string_view(text, length), &ids), message, room)) return false;
    for (int id : ids) token(context, id, model->pieces[static_cast<size_t>(id)].size());
    return true;
  }
  auto result = model->processor.EncodeAsImmutableProto(absl::string_view(text, length));
  if (result.pieces_size() == 0 && length > 0) {
    // The library swallows the status of this call; text that normalises to nothing is no error.
    std::vector<int> ids;
    return check(model->processor.Encode(absl::string_view(text, length), &ids), message, room);
  }
  for (size_t i = 0; i < result.pieces_size(); i++) {
    auto piece = result.pieces(static_cast<int>(i));
    token(context, static_cast<int32_t>(piece.id()), piece.end() - piece.begin());
  }
  return true;
} catch (const std::exception &exception) {
  return fail(message, room, exception.what());
}

bool sentencepiece_decode(const struct piece_model *model, const int32_t *ids, size_t count, sentencepiece_text *result,
                          void *context, char *message, size_t room) try {
  std::string text;
  if (!check(model->processor.Decode(std::vector<int>(ids, ids + count), &text), message, room)) return false;
  result(context, text.data(), text.size());
  return true;
} catch (const std::exception &exception) {
  return fail(message, room, exception.what());
}

bool sentencepiece_train(const struct sentencepiece_line *lines, size_t count, int64_t vocabulary,
                         sentencepiece_text *result, void *context, char *message, size_t room) try {
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocabulary)},
      {"byte_fallback", "true"},
      {"character_coverage", "0.9995"},
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"unk_id", "0"},
      {"eos_id", "1"},
      {"bos_id", "-1"},
      {"pad_id", "-1"},
      {"max_sentence_length", "65536"},
      {"shuffle_input_sentence", "false"},
      {"num_threads", "1"},
      {"minloglevel", "3"},
  };
  Lines iterator(lines, count);
  std::string model;
  if (!check(::sentencepiece::SentencePieceTrainer::Train(options, &iterator, &model), message, room)) return false;
  result(context, model.data(), model.size());
  return true;
} catch (const std::exception &exception) {
  return fail(message, room, exception.what());
}

}  // extern "C"
