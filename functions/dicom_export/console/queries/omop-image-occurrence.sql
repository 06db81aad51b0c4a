-- One row per series in the shape of image_occurrence of OMOP's medical imaging extension. The columns that end in
-- `source_value` are for mapping to the vocabularies and the persons of your OMOP database.
SELECT
  ROW_NUMBER() OVER (ORDER BY StudyInstanceUID, SeriesInstanceUID) AS image_occurrence_id,
  PatientID AS person_source_value,
  StudyInstanceUID AS image_study_UID,
  SeriesInstanceUID AS image_series_UID,
  COALESCE(SeriesDate, StudyDate) AS image_occurrence_date,
  Modality AS modality_source_value,
  BodyPartExamined AS anatomic_site_source_value,
  CONCAT('/dicomWeb/studies/', StudyInstanceUID, '/series/', SeriesInstanceUID) AS wadors_uri
FROM (
  SELECT
    StudyInstanceUID,
    SeriesInstanceUID,
    ANY_VALUE(PatientID) AS PatientID,
    MIN(SeriesDate) AS SeriesDate,
    MIN(StudyDate) AS StudyDate,
    ANY_VALUE(Modality) AS Modality,
    ANY_VALUE(BodyPartExamined) AS BodyPartExamined
  FROM dicomView
  WHERE SeriesInstanceUID IS NOT NULL
  GROUP BY StudyInstanceUID, SeriesInstanceUID
)
ORDER BY image_occurrence_id
