#include "manage/qr_code.h"

#include <qrencode.h>

#include <memory>

namespace intaglio::cli {

Result<std::string> draw_qr_code(ByteView text, bool coloured) {
  constexpr int quiet = 4;  // ISO/IEC 18004, 6.3.8: four modules
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(QRcode_encodeData(static_cast<int>(text.size()), text.data(), 0, QR_ECLEVEL_M),
                                                             &QRcode_free);
  if (!code) return Error{ErrorCode::too_large, "the text does not fit a QR code"};
  const auto is_light = [&](int row, int column) {
    if (row < 0 || column < 0 || row >= code->width || column >= code->width) return true;
    return (code->data[row * code->width + column] & 1U) == 0;
  };
  std::string out;
  for (int row = -quiet; row < code->width + quiet; row += 2) {
    if (coloured) out += "\x1b[97;40m";
    for (int column = -quiet; column < code->width + quiet; ++column) {
      const bool upper = is_light(row, column);
      const bool lower = is_light(row + 1, column);
      out += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    if (coloured) out += "\x1b[0m";
    out += '\n';
  }
  return out;
}

}  // namespace intaglio::cli
