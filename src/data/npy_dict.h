#pragma once
// The Python dict literal in an npy header.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headstart {

struct NpyDict {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Parses exactly the three keys NumPy writes, in any order.
/// @param name    what to call the file in messages
/// @param offset  where in the file `text` starts
/// @throws DataError at the byte where the text is not what NumPy writes
NpyDict parse_npy_dict(const std::string& name, std::string_view text, std::int64_t offset);

}  // namespace headstart
