-- The dose of each study from its radiation dose reports (X-Ray Radiation Dose SR, PS3.16 TID 10001 and 10011):
-- the total dose length product of CT (113813), the total dose area product (113722) and reference point dose (113725) of projections.
SELECT
  StudyInstanceUID,
  concept.CodeMeaning AS Quantity,
  SUM(SAFE_CAST(measured.NumericValue[SAFE_OFFSET(0)] AS FLOAT64)) AS Total,
  ANY_VALUE(unit.CodeValue) AS Unit
FROM dicomView,
  UNNEST(ContentSequence) AS accumulated,
  UNNEST(accumulated.ContentSequence) AS item,
  UNNEST(item.ConceptNameCodeSequence) AS concept,
  UNNEST(item.MeasuredValueSequence) AS measured,
  UNNEST(measured.MeasurementUnitsCodeSequence) AS unit
WHERE SOPClassUID = '1.2.840.10008.5.1.4.1.1.88.67'
  AND concept.CodingSchemeDesignator = 'DCM'
  AND concept.CodeValue IN ('113813', '113722', '113725')
GROUP BY StudyInstanceUID, concept.CodeMeaning
ORDER BY StudyInstanceUID, Quantity
