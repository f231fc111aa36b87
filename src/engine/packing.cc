#include "engine/packing.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/half.h"
#include "host/error.h"

namespace kinglet {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kForgetAfter = 32;                         // tokens, after which an embedding table's pages are let go
constexpr uint64_t kEmbeddingWindow = uint64_t{4} << 20;    // what fewer than twice as many tokens map of it at most
constexpr size_t kFewTokens = 8;                            // of a batch that reads weights for an answer
constexpr uint64_t kMovedWithABatch = uint64_t{128} << 20;  // 20 ms or so
constexpr uint64_t kLayoutVersion = 1;                      // raise it when any panel layout changes
constexpr char kMagic[8] = {'K', 'N', 'G', 'L', 'P', 'A', 'K', '1'};

struct FileHeader {
  char magic[8];
  uint64_t identity;
  uint64_t items;
  uint64_t bytes;  // of the whole file
};

// What the packed bytes depend on: the source file (size, time, samples of every tensor) and the layout.
class Identity {
 public:
  Identity() { XXH3_64bits_reset(&state_); }
  void add(const void* data, size_t bytes) { XXH3_64bits_update(&state_, data, bytes); }
  void add(std::string_view text) { add(text.data(), text.size()); }
  void add(uint64_t number) { add(&number, sizeof(number)); }
  void add_samples(std::span<const std::byte> bytes) {
    constexpr size_t kSamples = 8, kLength = 64;
    const size_t length = std::min(kLength, bytes.size());
    for (size_t i = 0; i < kSamples; ++i) add(bytes.data() + (bytes.size() - length) * i / (kSamples - 1), length);
  }
  uint64_t value() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

void add_file(Identity& identity, const std::string& path) {
  std::error_code ec;
  const auto absolute = std::filesystem::absolute(path, ec);
  identity.add(absolute.string());
  if (const auto size = std::filesystem::file_size(path, ec); !ec) identity.add(static_cast<uint64_t>(size));
  if (const auto time = std::filesystem::last_write_time(path, ec); !ec)
    identity.add(static_cast<uint64_t>(time.time_since_epoch().count()));
}

// Parameters of the model's files that a linear step reads. Adapters are small and come and go: they are packed on the fly.
std::vector<bool> linear_params(const ProgramStorage& program) {
  std::vector<bool> out(program.params.size());
  for (const Step& step : program.steps)
    if (step.op == Op::linear)
      out[static_cast<size_t>(step.weight)] = program.params[static_cast<size_t>(step.weight)].values.empty();
  return out;
}

// Whether bf16 holds all values of an f16 weight. Its pages are let go.
bool all_in_bf16(std::span<const std::byte> halves) {
  constexpr size_t kStretch = 64;
  bool all = true;
  for (size_t at = 0; at < halves.size() && all; at += kStretch * sizeof(uint16_t)) {
    uint16_t stretch[kStretch] = {};
    std::memcpy(stretch, halves.data() + at, std::min(sizeof(stretch), halves.size() - at));
    uint16_t low = 0;  // bits that bf16 lacks, but for subnormal values
    for (uint16_t half : stretch) low |= half & 7;
    all = low == 0 || std::all_of(std::begin(stretch), std::end(stretch), bf16_holds);
  }
  forget_pages(halves);
  return all;
}

}  // namespace

Result<std::unique_ptr<PackedWeights>> PackedWeights::attach(const Checkpoint& checkpoint,
                                                             const ProgramStorage& program, const KernelTable& kernels,
                                                             std::span<ParamData> params, const PackingOptions& options,
                                                             Ledger& ledger) {
  std::unique_ptr<PackedWeights> out(new PackedWeights());
  out->params_ = params;
  out->ledger_ = &ledger;
  const Source source{checkpoint, program, kernels, options, linear_params(program)};
  uint64_t canonical = out->choose(source);
  canonical += out->count_embeddings(source);
  KL_TRY(ledger.reserve(MemoryUse::weights, canonical));
  out->counted_maps_ = canonical;
  if (out->items_.empty()) return out;
  // Memory that is not touched costs nothing: a mapped cache file and its copy take their room once.
  KL_ASSIGN(out->memory_, Block::allocate(out->bytes_, MemoryUse::packed_weights, ledger));
  for (const Item& item : out->items_) {
    ParamData& p = params[static_cast<size_t>(item.param)];
    if (out->map_) p.panels = out->map_->bytes().data() + item.offset;
    else p.pack_into = out->memory_.data() + item.offset;
  }
  return out;
}

uint64_t PackedWeights::choose(const Source& source) {
  const auto list_as = [&](DType halves) {
    for (size_t i = 0; i < params_.size(); ++i)
      if (source.is_linear[i] && params_[i].dtype == DType::f16) params_[i].panel_dtype = halves;
    halves_as_bf16_ = halves == DType::bf16;
    return list(source);
  };
  const bool can = source.kernels.weights[static_cast<size_t>(DType::f16)].act == ActKind::f32 &&
                   source.kernels.weights[static_cast<size_t>(DType::bf16)].act == ActKind::bf16;
  bool any = false;
  for (size_t i = 0; i < params_.size(); ++i) any = any || (source.is_linear[i] && params_[i].dtype == DType::f16);
  if (!can || !any) return list_as(DType::f16);
  // A cache file tells what was found when it was made. Else all values are read once.
  uint64_t canonical = list_as(DType::bf16);
  if (!map_) canonical = list_as(DType::f16);
  if (map_) return canonical;
  for (const Item& item : items_)
    if (params_[static_cast<size_t>(item.param)].dtype == DType::f16 && !all_in_bf16(item.source)) return canonical;
  return list_as(DType::bf16);
}

uint64_t PackedWeights::list(const Source& source) {
  items_.clear();
  path_.clear();
  Identity identity;
  identity.add(kLayoutVersion);
  identity.add(source.kernels.packing);
  add_file(identity, source.checkpoint.path());
  uint64_t offset = kPage, canonical = 0;
  for (size_t i = 0; i < params_.size(); ++i) {
    if (!source.is_linear[i]) continue;
    const ParamData& p = params_[i];
    const auto rows = static_cast<uint64_t>(source.program.params[i].shape[0]);
    const uint64_t bytes = ceil_div<uint64_t>(rows, kPanelRows) * p.panel_bytes;
    if (source.kernels.weights[static_cast<size_t>(p.panel_dtype)].canonical) {
      canonical += rows * p.row_bytes;
      continue;
    }
    const std::span<const std::byte> file_rows(p.rows, rows * p.row_bytes);
    identity.add(source.program.params[i].gguf);
    identity.add(static_cast<uint64_t>(p.panel_dtype));
    identity.add(bytes);
    identity.add_samples(file_rows);
    items_.push_back({static_cast<ParamId>(i), offset, bytes, file_rows});
    forget_pages(file_rows);  // the samples
    offset += round_up(bytes, kPage);
  }
  bytes_ = offset;
  identity_ = identity.value();
  if (!source.options.folder.empty() && offset >= source.options.smallest_bytes)
    path_ = join_path(source.options.folder, fmt::format("{:016x}.pack", identity_));
  find_cache();
  return canonical;
}

PackedWeights::~PackedWeights() {
  // A half-written copy would be lost: short commands let the writer end.
  wait();
  ledger_->release(MemoryUse::weights, counted_maps_);
}

// Notes the embedding tables that no product reads in the file's map; returns what is resident of them.
uint64_t PackedWeights::count_embeddings(const Source& source) {
  uint64_t resident = 0;
  for (const Step& step : source.program.steps) {
    if (step.op != Op::embed) continue;
    const auto i = static_cast<size_t>(step.weight);
    const ParamData& p = params_[i];
    if (source.is_linear[i] && source.kernels.weights[static_cast<size_t>(p.dtype)].canonical) continue;
    embeddings_.emplace_back(p.rows, static_cast<size_t>(source.program.params[i].shape[0]) * p.row_bytes);
    resident += std::min<uint64_t>(embeddings_.back().size(), kEmbeddingWindow);
  }
  return resident;
}

void PackedWeights::tokens_embedded(size_t tokens) {
  embedded_ += tokens;
  if (embedded_ < kForgetAfter) return;
  for (const auto& table : embeddings_) forget_pages(table);
  embedded_ = 0;
}

void PackedWeights::find_cache() {
  if (items_.empty() || path_.empty() || !is_file(path_)) return;
  auto map = MappedFile::open(path_);
  if (!map.ok() || map->bytes().size() != bytes_) return;
  FileHeader header{};
  std::memcpy(&header, map->bytes().data(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.identity != identity_ ||
      header.items != items_.size() || header.bytes != bytes_)
    return;
  map->advise(Access::huge_pages);  // before the first read: it says how large a piece the system reads and maps
  map->advise(Access::will_need);
  map_ = *std::move(map);
}

// Pages at the borders of stretches that were packed one by one are let go only now: in a small model they are a tenth of all.
void PackedWeights::forget_old_place(ParamId param) const {
  for (const Item& item : items_)
    if (item.param == param) forget_pages(map_ ? map_->bytes().subspan(item.offset, item.bytes) : item.source);
}

void PackedWeights::param_packed(ParamId param) {
  ParamData& p = params_[static_cast<size_t>(param)];
  forget_old_place(param);
  p.panels = p.pack_into;
  p.pack_into = nullptr;
  if (++packed_ == items_.size() && !map_) start_writing();
}

void PackedWeights::move_some(size_t tokens) {
  if (!map_ || moving_ == items_.size() || tokens > kFewTokens || ++short_batches_ <= kPatience) return;
  if (moving_ == 0 && (!has_huge_pages() || huge_mapped_bytes(map_->bytes().data()) > bytes_ / 2))
    moving_ = items_.size();
  for (uint64_t bytes = 0; moving_ < items_.size() && bytes < kMovedWithABatch; ++moving_) {
    const Item& item = items_[moving_];
    params_[static_cast<size_t>(item.param)].pack_into = memory_.data() + item.offset;
    bytes += item.bytes;
  }
}

void PackedWeights::start_writing() {
  if (path_.empty()) return;
  writer_ = std::thread([this] { (void)write_cache(); });  // a cache that cannot be written is only a slower next start
}

Status PackedWeights::write_cache() const {
  KL_TRY(make_directories(std::filesystem::path(path_).parent_path().string()));
  KL_ASSIGN(AtomicFile file, AtomicFile::create(path_));
  KL_TRY(file.expect(bytes_));
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.identity = identity_;
  header.items = items_.size();
  header.bytes = bytes_;
  KL_TRY(file.write(std::as_bytes(std::span(&header, 1))));
  for (const Item& item : items_) {
    KL_TRY(file.write_zeros(item.offset - file.written()));
    KL_TRY(file.write({memory_.data() + item.offset, item.bytes}));
  }
  KL_TRY(file.write_zeros(bytes_ - file.written()));
  return file.commit();
}

void PackedWeights::wait() {
  if (writer_.joinable()) writer_.join();
}

std::string PackedWeights::description() const {
  if (items_.empty()) return "weights are read in their canonical layout";
  const char* as = halves_as_bf16_ ? ", f16 as bf16, which has all their values" : "";
  if (map_) return fmt::format("packed weights are mapped from {}{}", path_, as);
  return path_.empty() ? fmt::format("weights are packed in memory{}", as)
                       : fmt::format("weights are packed in memory and written behind to {}{}", path_, as);
}

}  // namespace kinglet
