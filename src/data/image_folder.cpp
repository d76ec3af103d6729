#include "headstart/data/image_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "headstart/error.h"
#include "pictures.h"
#include "zip_archive.h"

namespace headstart {

namespace {

namespace fs = std::filesystem;

constexpr const char* kDatasetJson = "dataset.json";

std::vector<std::string> list_pictures(const std::string& folder) {
  std::error_code error;
  const auto type = fs::status(folder, error).type();
  if (type == fs::file_type::not_found) throw DataError(folder, "no such file or folder");
  if (type != fs::file_type::directory) throw DataError(folder, "is not a folder");
  std::vector<std::string> names;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (is_picture_name(at->path().native()) && !at->is_directory(ignored)) {
      names.push_back(at->path().lexically_relative(folder).generic_string());
    }
  }
  if (error) throw DataError(folder, fmt::format("cannot be listed: {}", error.message()));
  if (names.empty()) throw DataError(folder, "holds no PNG or JPEG files");
  std::ranges::sort(names);
  return names;
}

}  // namespace

std::unique_ptr<ImageStream> open_image_folder(const std::string& folder, PixelsAs as) {
  Pictures pictures;
  pictures.names = list_pictures(folder);
  pictures.open = [folder, names = pictures.names](std::size_t i) { return open_file_source((fs::path(folder) / names[i]).string()); };
  const fs::path json = fs::path(folder) / kDatasetJson;
  if (std::error_code ignored; fs::exists(json, ignored)) pictures.dataset_json = open_file_source(json.string());
  return stream_pictures(std::move(pictures), as);
}

std::unique_ptr<ImageStream> open_image_zip(const std::string& path, PixelsAs as) {
  const ZipArchive archive(path);
  const auto& all = archive.names();
  std::vector<std::size_t> entries;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (is_picture_name(all[i])) entries.push_back(i);
  }
  if (entries.empty()) throw DataError(path, "holds no PNG or JPEG files");
  std::ranges::sort(entries, {}, [&](std::size_t i) { return all[i]; });

  Pictures pictures;
  for (const std::size_t i : entries) pictures.names.push_back(all[i]);
  pictures.open = [archive, entries](std::size_t i) { return archive.open(entries[i]); };
  if (const auto at = std::ranges::find(all, kDatasetJson); at != all.end()) {
    pictures.dataset_json = archive.open(static_cast<std::size_t>(at - all.begin()));
  }
  return stream_pictures(std::move(pictures), as);
}

}  // namespace headstart
