// The packed copy of a model's linear weights: one in memory, and one in a cache file so that a second start is instant.
//
// Packing does not delay the first token by a pass of its own: the first product with a weight packs its panels on the way
// (exec/launch_linear.cc) and the source's pages are let go, so that resident memory stays at one copy. When all are packed, a thread writes
// them behind to the cache file. A later start maps that file and never reads the source's weights.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/weights.h"
#include "exec/forward.h"
#include "host/file.h"

namespace kinglet {

struct PackingOptions {
  std::string folder;                            ///< of the cache files; empty: none is read or written
  uint64_t smallest_bytes = uint64_t{16} << 20;  ///< below this packing again is faster than a file
};

class PackedWeights {
 public:
  /// Gives `params` panels from the cache file where one fits, else a place to be packed into. Weights whose kernels read the
  /// canonical layout stay as they are. Where the kernels multiply bf16, f16 weights are packed as that if it holds all of their values,
  /// as it does in files made from bf16 checkpoints. Counts all of it in `ledger`. Errors: resource_exhausted.
  static Result<std::unique_ptr<PackedWeights>> attach(const Checkpoint& checkpoint, const ProgramStorage& program,
                                                       const KernelTable& kernels, std::span<ParamData> params,
                                                       const PackingOptions& options, Ledger& ledger);
  ~PackedWeights();

  /// For Batch::packing.
  const PackingObserver& observer() const { return observer_; }
  /// For Batch::embedding.
  const EmbeddingObserver& embedding_observer() const { return embedding_observer_; }

  /// Called before each batch but the first, with its tokens. Weights that are mapped from the cache file in small pages (older
  /// systems) move into memory with huge pages, a part with each batch: products then wait less for address translation (6% of a 7B model's
  /// decode), and the file's pages are let go. Getting memory takes longer than that saves in a short answer (up to 2 s for each GB in a
  /// virtual machine), and a prompt reads each weight once for many tokens: batches of few tokens begin to move weights when kPatience of
  /// them have been.
  static constexpr int kPatience = 256;
  void move_some(size_t tokens);

  bool from_cache() const { return map_.has_value(); }
  /// Waits for the cache file to be written (or for the attempt to fail).
  void wait();
  std::string description() const;  ///< "packed weights mapped from FILE", for people

 private:
  struct Item {
    ParamId param;
    uint64_t offset, bytes;
    std::span<const std::byte> source;  ///< the weight in the model's file
  };
  PackedWeights() = default;
  void param_packed(ParamId param);
  /// Each token makes the system map a stretch of the embedding table's pages (64 KB on Linux): they are let go from time to time, so
  /// that only a window of the table is resident.
  void tokens_embedded(size_t tokens);
  void forget_old_place(ParamId param) const;
  /// What the weights to be packed are found by.
  struct Source {
    const Checkpoint& checkpoint;
    const ProgramStorage& program;
    const KernelTable& kernels;
    const PackingOptions& options;
    std::vector<bool> is_linear;  ///< by parameter
  };
  /// Notes them, their places and their cache file, and maps that if it is there. Returns the bytes of those that stay as they are.
  uint64_t list(const Source& source);
  /// The same with f16 weights as bf16 where that is to be.
  uint64_t choose(const Source& source);
  void find_cache();
  uint64_t count_embeddings(const Source& source);
  void start_writing();
  Status write_cache() const;

  std::span<ParamData> params_;
  bool halves_as_bf16_ = false;
  std::vector<Item> items_;
  uint64_t bytes_ = 0;
  uint64_t identity_ = 0;
  std::string path_;
  std::optional<MappedFile> map_;
  Block memory_;
  uint64_t counted_maps_ = 0;
  std::vector<std::span<const std::byte>> embeddings_;  ///< tables that only their tokens' rows are read of
  size_t embedded_ = 0;                                 ///< tokens since their pages were let go
  Ledger* ledger_ = nullptr;
  size_t packed_ = 0;
  int short_batches_ = 0;
  size_t moving_ = 0;  ///< items before it have been told to move out of the map
  PackingObserver observer_{this, [](void*, std::span<const std::byte> rows) { forget_pages(rows); },
                            [](void* self, ParamId param) { static_cast<PackedWeights*>(self)->param_packed(param); }};
  EmbeddingObserver embedding_observer_{
      this, [](void* self, size_t tokens) { static_cast<PackedWeights*>(self)->tokens_embedded(tokens); }};
  std::thread writer_;
};

}  // namespace kinglet
