-- Series of images with their geometry: orientation, spacing, number of slices, and the distance between them.
SELECT
  SeriesInstanceUID,
  ANY_VALUE(Modality) AS Modality,
  ANY_VALUE(SeriesDescription) AS SeriesDescription,
  ARRAY_TO_STRING(ANY_VALUE(ImageOrientationPatient), '\\') AS ImageOrientationPatient,
  ARRAY_TO_STRING(ANY_VALUE(PixelSpacing), '\\') AS PixelSpacing,
  ANY_VALUE(`Rows`) AS PixelRows,
  ANY_VALUE(`Columns`) AS PixelColumns,
  COUNT(DISTINCT SAFE_CAST(SliceLocation AS FLOAT64)) AS Slices,
  ROUND(
    SAFE_DIVIDE(
      MAX(SAFE_CAST(SliceLocation AS FLOAT64)) - MIN(SAFE_CAST(SliceLocation AS FLOAT64)),
      COUNT(DISTINCT SAFE_CAST(SliceLocation AS FLOAT64)) - 1),
    4) AS MeanDistance
FROM dicomView
WHERE ARRAY_LENGTH(ImageOrientationPatient) = 6
GROUP BY SeriesInstanceUID
ORDER BY SeriesInstanceUID
