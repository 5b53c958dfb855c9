# Writes the files of the live page into a .cc: cmake -DOUT=... -DDIR=... -P embed_page.cmake
set(rows "")
foreach(row "/|index.html|text/html" "/page.css|page.css|text/css" "/page.js|page.js|text/javascript")
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 path)
  list(GET row 1 file)
  list(GET row 2 type)
  file(READ "${DIR}/${file}" hex HEX)
  # As numbers: compilers bound the length of a string literal.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(MAKE_C_IDENTIFIER "${file}" name)
  string(APPEND rows "constexpr unsigned char ${name}[] = {${bytes}0};\n")
  string(APPEND table
    "    {\"${path}\", \"${type}; charset=utf-8\", TextOf(${name}, sizeof(${name}) - 1)},\n")
endforeach()
file(WRITE "${OUT}" "#include \"control/page_files.h\"

namespace shoal {
namespace {

// NOLINTBEGIN(readability-identifier-naming): named as the files are
${rows}// NOLINTEND(readability-identifier-naming)

std::string_view TextOf(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

std::span<const PageFile> PageFiles() {
  static const PageFile files[] = {
${table}  };
  return files;
}

}  // namespace shoal
")
