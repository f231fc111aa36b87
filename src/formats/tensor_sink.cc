#include "formats/tensor_sink.h"

#include "base/checked.h"
#include "host/error.h"

namespace kinglet {

Status TensorSink::declare(Declared tensor) {
  if (!names_.insert(tensor.name).second)
    return error(Code::invalid_argument, "tensor {} is declared twice", tensor.name);
  tensors_.push_back(std::move(tensor));
  return ok_status();
}

Status TensorSink::begin(std::span<const std::byte> header, uint64_t data_bytes, uint64_t alignment) {
  if (file_) return error(Code::internal, "{}: begun twice", path_);
  KL_ASSIGN(AtomicFile file, AtomicFile::create(path_));
  KL_TRY(file.expect(checked_add<uint64_t>(data_bytes, header.size()).value_or(data_bytes)));
  KL_TRY(file.write(header));
  file_ = std::move(file);
  alignment_ = alignment;
  const uint64_t over = file_->written() % alignment_;
  if (over != 0) KL_TRY(file_->write_zeros(alignment_ - over));
  return skip_whole_tensors();
}

Status TensorSink::write(std::span<const std::byte> bytes) {
  if (!file_) return error(Code::internal, "{}: a tensor was written before begin()", path_);
  if (bytes.empty()) return ok_status();
  if (next_ == tensors_.size()) return error(Code::internal, "{}: more data than declared tensors", path_);
  const Declared& t = tensors_[next_];
  if (bytes.size() > t.bytes - next_bytes_)
    return error(Code::internal, "{}: tensor {} has {} bytes, more were written", path_, t.name, t.bytes);
  KL_TRY(file_->write(bytes));
  next_bytes_ += bytes.size();
  return skip_whole_tensors();
}

// Moves on from tensors that are whole; those without values are so from the start.
Status TensorSink::skip_whole_tensors() {
  while (next_ < tensors_.size() && next_bytes_ == tensors_[next_].bytes) {
    const uint64_t over = file_->written() % alignment_;
    if (over != 0) KL_TRY(file_->write_zeros(alignment_ - over));
    next_bytes_ = 0;
    ++next_;
  }
  return ok_status();
}

Status TensorSink::finish() {
  if (!file_) return error(Code::internal, "{}: finished before begin()", path_);
  if (next_ != tensors_.size())
    return error(Code::internal, "{}: the data of tensor {} is missing", path_, tensors_[next_].name);
  const Status status = file_->commit();
  file_.reset();
  return status;
}

}  // namespace kinglet
