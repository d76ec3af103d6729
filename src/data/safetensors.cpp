#include "headstart/data/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "headstart/data/atomic_file.h"
#include "headstart/data/byte_source.h"
#include "headstart/error.h"

namespace headstart {

namespace {

using Json = nlohmann::json;

constexpr const char* kMetadata = "__metadata__";
constexpr std::size_t kLengthBytes = 8;

constexpr std::array kDTypes{DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::I32, DType::I16,
                             DType::I8,  DType::U64, DType::U32, DType::U16,  DType::U8,  DType::BOOL};

// nlohmann keeps the last of two equal keys without a word; which tensor is meant would depend on the reader.
Json parse_json(const std::string& path, std::span<const std::byte> text) {
  std::vector<std::set<std::string>> keys;
  std::optional<std::string> repeated;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const auto level = static_cast<std::size_t>(depth);
    if (event == Json::parse_event_t::object_start) {
      keys.resize(std::max(keys.size(), level + 2));
      keys[level + 1].clear();
    } else if (event == Json::parse_event_t::key && !keys.at(level).insert(parsed.get<std::string>()).second) {
      repeated = parsed.get<std::string>();
    }
    return true;
  };
  const auto* const begin = reinterpret_cast<const char*>(text.data());
  try {
    Json json = Json::parse(begin, begin + text.size(), watch);
    if (repeated) throw DataError(path, fmt::format("safetensors header repeats the key {}", *repeated));
    if (!json.is_object()) throw DataError(path, "safetensors header is not a JSON object", kLengthBytes);
    return json;
  } catch (const Json::parse_error& error) {
    throw DataError(path, "safetensors header is not valid JSON", static_cast<std::int64_t>(kLengthBytes + error.byte));
  }
}

std::vector<std::int64_t> integers_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  if (at == json.end() || !at->is_array()) throw std::invalid_argument(fmt::format("has no list {}", key));
  std::vector<std::int64_t> values;
  for (const Json& value : *at) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
      throw std::invalid_argument(fmt::format("has a {} that is not of non-negative integers", key));
    }
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

DType dtype_of_name(const Json& json) {
  const auto at = json.find("dtype");
  if (at == json.end() || !at->is_string()) throw std::invalid_argument("has no dtype");
  const auto& name = at->get_ref<const std::string&>();
  for (const DType dtype : kDTypes) {
    if (to_string(dtype) == name) return dtype;
  }
  std::vector<std::string> known;
  for (const DType dtype : kDTypes) known.push_back(to_string(dtype));
  throw std::invalid_argument(fmt::format("has the unknown dtype {}, expected one of {}", name, fmt::join(known, ", ")));
}

ArrayView parse_tensor(const Json& json, std::span<const std::byte> data) {
  if (!json.is_object()) throw std::invalid_argument("is not described by an object");
  ArrayView tensor;
  tensor.dtype = dtype_of_name(json);
  tensor.shape = integers_of(json, "shape");
  const auto offsets = integers_of(json, "data_offsets");
  const auto size = static_cast<std::int64_t>(data.size());
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > size) {
    throw std::invalid_argument(fmt::format("has data_offsets {}, expected a range within {} bytes", shape_to_string(offsets), size));
  }
  if (byte_count(tensor.dtype, tensor.shape) != offsets[1] - offsets[0]) {
    throw std::invalid_argument(
        fmt::format("is {} {} in {} bytes", to_string(tensor.dtype), shape_to_string(tensor.shape), offsets[1] - offsets[0]));
  }
  tensor.bytes = data.subspan(static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(offsets[1] - offsets[0]));
  return tensor;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), bytes_(read_file(path)) {
  if (bytes_.empty()) throw DataError(path_, "is empty");
  parse_header();
}

void SafetensorsFile::parse_header() {
  std::uint64_t length = 0;
  if (bytes_.size() >= kLengthBytes) std::memcpy(&length, bytes_.data(), kLengthBytes);
  // What is no safetensors file has text here, and so an absurd length.
  if (bytes_.size() < kLengthBytes || length > bytes_.size() - kLengthBytes) {
    throw DataError(path_, "is not a safetensors file, or truncated in its header", 0);
  }
  const std::span<const std::byte> all(bytes_);
  const Json header = parse_json(path_, all.subspan(kLengthBytes, length));
  const auto data = all.subspan(kLengthBytes + length);
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadata) {
      if (!value.is_object()) throw DataError(path_, "safetensors metadata is not an object");
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) throw DataError(path_, fmt::format("safetensors metadata {} is not a string", key));
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    try {
      tensors_[name] = parse_tensor(value, data);
    } catch (const std::invalid_argument& error) {
      throw DataError(path_, fmt::format("tensor {} {}", name, error.what()));
    }
  }
  check_layout();
}

// The format allows neither overlap nor gaps: nothing may hide between tensors.
void SafetensorsFile::check_layout() const {
  std::vector<std::span<const std::byte>> parts;
  std::size_t header = 0;
  std::memcpy(&header, bytes_.data(), kLengthBytes);
  const std::byte* at = bytes_.data() + kLengthBytes + header;
  for (const auto& [name, tensor] : tensors_) parts.push_back(tensor.bytes);
  std::ranges::sort(parts, {}, [](const auto& part) { return std::pair(part.data(), part.size()); });
  for (const auto& part : parts) {
    if (part.data() != at) throw DataError(path_, "safetensors data overlap or leave a gap", at - bytes_.data());
    at += part.size();
  }
  if (at != bytes_.data() + bytes_.size()) throw DataError(path_, "trailing bytes after the last tensor", at - bytes_.data());
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

const ArrayView& SafetensorsFile::get(const std::string& name) const {
  const auto at = tensors_.find(name);
  if (at == tensors_.end()) throw DataError(path_, fmt::format("has no tensor {}, only: {}", name, fmt::join(names(), ", ")));
  return at->second;
}

const std::string& SafetensorsFile::metadata(const std::string& key) const {
  const auto at = metadata_.find(key);
  if (at == metadata_.end()) throw DataError(path_, fmt::format("has no metadata {}", key));
  return at->second;
}

void write_safetensors(const std::string& path, std::span<const NamedArray> tensors, const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedArray*> ordered;
  for (const NamedArray& tensor : tensors) {
    require_consistent("write_safetensors", tensor.array);
    ordered.push_back(&tensor);
  }
  // Widest first keeps every tensor aligned without padding, which the format forbids.
  std::ranges::sort(ordered, [](const NamedArray* a, const NamedArray* b) {
    const std::size_t size_a = size_of(a->array.dtype);
    const std::size_t size_b = size_of(b->array.dtype);
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });

  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::size_t offset = 0;
  for (const NamedArray* tensor : ordered) {
    const auto& [name, array] = *tensor;
    if (name.empty() || name == kMetadata || header.contains(name)) {
      throw InvalidArgument(fmt::format("[write_safetensors] expected distinct names other than __metadata__, got \"{}\"", name));
    }
    header[name] = {{"dtype", to_string(array.dtype)}, {"shape", array.shape}, {"data_offsets", {offset, offset + array.bytes.size()}}};
    offset += array.bytes.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::type_error&) {
    throw InvalidArgument("[write_safetensors] expected names and metadata in UTF-8");
  }
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const std::uint64_t length = text.size();

  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const NamedArray* tensor : ordered) file.write(tensor->array.bytes);
  file.commit(AtomicFile::Sync::yes);  // weights and checkpoints are worth it
}

}  // namespace headstart
